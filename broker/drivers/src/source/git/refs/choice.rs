//! Which refs are read of a remote that has too many.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashSet},
};

use package_broker_core::domain::version::{NormalizedVersion, tag_version};

use super::{HEADS, TAGS, Target};
use crate::source::git::candidates::is_bot_branch;

/// In the order in which they are taken.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// It names the package.
    DefaultBranch,
    /// The newest first.
    Version(Reverse<NormalizedVersion>),
    /// A branch that people may require.
    Branch,
    /// What makes no version.
    Other,
}

/// Takes the first `most` refs: the default branch, tags that are versions from the newest on, branches by name, then
/// the rest. Returns how many were left out. The same refs give the same choice.
pub(super) fn take(
    refs: &mut BTreeMap<String, Target>,
    default: Option<&str>,
    most: usize,
) -> usize {
    let mut ranked: Vec<(Rank, &str)> = refs
        .keys()
        .map(|name| (rank(name, default), name.as_str()))
        .collect();
    if ranked.len() <= most {
        return 0;
    }
    let (_, _, rest) = ranked.select_nth_unstable(most.saturating_sub(1));
    let left_out: HashSet<String> = rest.iter().map(|(_, name)| (*name).to_owned()).collect();
    refs.retain(|name, _| !left_out.contains(name));
    left_out.len()
}

fn rank(name: &str, default: Option<&str>) -> Rank {
    if default == Some(name) {
        return Rank::DefaultBranch;
    }
    if let Some(tag) = name.strip_prefix(TAGS) {
        return match tag_version(tag) {
            Ok(version) => Rank::Version(Reverse(version.normalized)),
            Err(_) => Rank::Other,
        };
    }
    match name.strip_prefix(HEADS) {
        Some(branch) if !is_bot_branch(branch) => Rank::Branch,
        Some(_) | None => Rank::Other,
    }
}
