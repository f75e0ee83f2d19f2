//! Which tags and branches may become versions, by their names alone (protocol B.1).

use std::collections::HashMap;

use package_broker_core::domain::{
    selection::RefPattern,
    skipped::Skipped,
    version::{NormalizedVersion, TagVersion, checked_branch_version, tag_version},
};

use super::refs::{HEADS, MAX_REFS, RemoteRefs, TAGS, Target, is_wanted};

/// Starts of branch names that programs make and nobody requires (protocol A.15). The default branch is never one.
const BOT_BRANCHES: [&str; 12] = [
    "renovate/",
    "dependabot/",
    "depfu/",
    "greenkeeper/",
    "snyk-",
    "gh-readonly-queue/",
    "mergify/",
    "bors/",
    "all-contributors/",
    "imgbot",
    "pre-commit-ci-update-config",
    "gh-pages",
];

/// So many branches of bots are named when they are left out.
const NAMED_BOTS: usize = 3;

/// Whether a branch is left out because a program made it.
pub(super) fn is_bot_branch(name: &str) -> bool {
    BOT_BRANCHES.iter().any(|start| name.starts_with(start))
}

/// A tag or branch that may become a version.
pub(super) struct Candidate {
    /// What people know it by: the tag's name, or the version of the branch.
    pub(super) label: String,
    /// Its version by the name alone.
    pub(super) version: TagVersion,
    /// Where it is.
    pub(super) target: Target,
    /// What it is.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// The branch that `HEAD` names.
    DefaultBranch,
}

impl Candidate {
    fn repeats(self, first: &str) -> Skipped {
        let reason = format!("\"{first}\" means the same version and came first");
        Skipped::new(self.label, reason).at(self.target.peeled.to_string())
    }
}

/// Sorts out by name alone: what is a version, and which of two that mean the same comes first.
///
/// The default branch is among the refs even if it is not `wanted`.
pub(super) fn candidates(
    refs: &RemoteRefs,
    wanted: &[RefPattern],
    skipped: &mut Vec<Skipped>,
) -> Vec<Candidate> {
    let default = refs.default_branch().map(|(name, _)| name);
    // First, so that they are still there where only so many are kept.
    skipped.extend(left_out(refs));
    skipped.extend(bots(refs, default));
    let mut seen: HashMap<NormalizedVersion, String> = HashMap::new();
    let mut found = Vec::with_capacity(refs.refs.len());
    let tags = refs.tags().map(|(name, target)| tag(name, target));
    let branches = refs
        .branches()
        .filter(|(name, _)| !is_bot(name, default) && is_wanted(wanted, name))
        .map(|(name, target)| branch(name, target, default));
    for judged in tags.chain(branches) {
        match judged {
            Ok(candidate) => {
                if let Some(first) = seen.get(&candidate.version.normalized) {
                    skipped.push(candidate.repeats(first));
                    continue;
                }
                seen.insert(
                    candidate.version.normalized.clone(),
                    candidate.label.clone(),
                );
                found.push(candidate);
            }
            Err(reason) => skipped.push(reason),
        }
    }
    found
}

fn tag(name: &str, target: Target) -> Result<Candidate, Skipped> {
    let label = name.strip_prefix(TAGS).unwrap_or(name).to_owned();
    match tag_version(&label) {
        Ok(version) => Ok(Candidate {
            label,
            version,
            target,
            kind: Kind::Tag,
        }),
        Err(error) => Err(Skipped::new(label, error.to_string()).at(target.peeled.to_string())),
    }
}

fn branch(name: &str, target: Target, default: Option<&str>) -> Result<Candidate, Skipped> {
    let kind = if default == Some(name) {
        Kind::DefaultBranch
    } else {
        Kind::Branch
    };
    let short = name.strip_prefix(HEADS).unwrap_or(name);
    let branch = checked_branch_version(short).map_err(|error| {
        Skipped::new(format!("dev-{short}"), error.to_string()).at(target.peeled.to_string())
    })?;
    let version = TagVersion {
        pretty: branch.pretty,
        normalized: branch.normalized,
    };
    Ok(Candidate {
        label: version.pretty.clone(),
        version,
        target,
        kind,
    })
}

/// Whether a branch, by full name, is one that a program made.
fn is_bot(name: &str, default: Option<&str>) -> bool {
    default != Some(name) && is_bot_branch(name.strip_prefix(HEADS).unwrap_or(name))
}

/// One word for all branches of bots.
fn bots(refs: &RemoteRefs, default: Option<&str>) -> Option<Skipped> {
    let all: Vec<&str> = refs
        .branches()
        .filter(|(name, _)| is_bot(name, default))
        .map(|(name, _)| name.strip_prefix(HEADS).unwrap_or(name))
        .collect();
    let named = all.get(..NAMED_BOTS).unwrap_or(&all);
    let more = match all.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let reason = format!(
        "{} made by bots and queues, which nobody requires, not read: {}{more}",
        all.len(),
        named.join(", ")
    );
    (!all.is_empty()).then(|| Skipped::new("branches of bots", reason))
}

/// One word for all refs beyond what is read.
fn left_out(refs: &RemoteRefs) -> Option<Skipped> {
    let reason = format!(
        "{} beyond the first {MAX_REFS} not read: first come the default branch and the tags of the newest versions",
        refs.left_out
    );
    (refs.left_out > 0).then(|| Skipped::new("branches and tags", reason))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use gix::ObjectId;

    use super::*;

    fn refs(names: &[&str]) -> RemoteRefs {
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let target = Target { id, peeled: id };
        RemoteRefs {
            head: Some("refs/heads/main".to_owned()),
            refs: names
                .iter()
                .map(|name| ((*name).to_owned(), target))
                .collect(),
            left_out: 0,
        }
    }

    #[test]
    fn names_alone_sort_out_most() {
        let mut skipped = Vec::new();
        let found = candidates(
            &refs(&[
                "refs/heads/2.x",
                "refs/heads/2",
                "refs/heads/main",
                "refs/heads/feature/a#b",
                "refs/heads/renovate/all",
                "refs/heads/dependabot/npm/x",
                "refs/heads/gh-pages",
                "refs/tags/1.0.0",
                "refs/tags/v1.0",
                "refs/tags/release-2.0.0",
                "refs/tags/nightly",
                "refs/tags/3.0.x-dev",
            ]),
            &[],
            &mut skipped,
        );
        let labels: Vec<_> = found
            .iter()
            .map(|found| (found.label.as_str(), found.version.pretty.as_str()))
            .collect();
        assert_eq!(
            labels,
            [
                ("1.0.0", "1.0.0"),
                ("release-2.0.0", "2.0.0"),
                ("2.x-dev", "2.x-dev"),
                ("dev-feature/a+b", "dev-feature/a+b"),
                ("dev-main", "dev-main"),
            ]
        );
        let reasons: HashSet<_> = skipped
            .iter()
            .map(|skipped| skipped.version.as_str())
            .collect();
        assert_eq!(
            reasons,
            HashSet::from([
                "branches of bots",
                "v1.0",
                "nightly",
                "3.0.x-dev",
                "2.x-dev"
            ])
        );
        assert!(
            skipped[1..]
                .iter()
                .all(|skipped| skipped.reference.is_some())
        );
        assert_eq!(
            skipped[0].reason,
            "3 made by bots and queues, which nobody requires, not read: dependabot/npm/x, gh-pages, renovate/all"
        );
    }

    #[test]
    fn what_is_left_out_is_counted() {
        let mut refs = refs(&[
            "refs/heads/main",
            "refs/heads/renovate/a",
            "refs/heads/renovate/b",
            "refs/heads/renovate/c",
            "refs/heads/renovate/d",
            "refs/heads/renovate/e",
        ]);
        refs.left_out = 7;
        let mut skipped = Vec::new();
        candidates(&refs, &[], &mut skipped);
        let said: Vec<_> = skipped
            .iter()
            .map(|skipped| skipped.reason.as_str())
            .collect();
        assert!(
            said[0].starts_with("7 beyond the first 10000 not read"),
            "{said:?}"
        );
        assert!(said[1].starts_with("5 made by bots"), "{said:?}");
        assert!(
            said[1].ends_with("renovate/a, renovate/b, renovate/c and 2 more"),
            "{said:?}"
        );
    }

    #[test]
    fn a_default_branch_that_is_not_wanted_is_no_version() {
        let refs = refs(&["refs/heads/main", "refs/tags/1.0.0"]);
        let wanted = [RefPattern::new("refs/tags/*")];
        let mut skipped = Vec::new();
        let found = candidates(&refs, &wanted, &mut skipped);
        let labels: Vec<_> = found.iter().map(|found| found.label.as_str()).collect();
        assert_eq!(labels, ["1.0.0"]);
        assert!(skipped.is_empty());
    }

    #[test]
    fn the_default_branch_is_never_taken_for_a_bot() {
        let mut refs = refs(&["refs/heads/gh-pages"]);
        refs.head = Some("refs/heads/gh-pages".to_owned());
        let mut skipped = Vec::new();
        assert_eq!(candidates(&refs, &[], &mut skipped).len(), 1);
        assert!(skipped.is_empty());
    }
}
