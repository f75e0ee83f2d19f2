//! Which names a repository can be asked for (protocol A.2).

use std::collections::{BTreeSet, HashSet};

use package_broker_core::{
    domain::{
        names::PackageName,
        patterns::{NamePattern, any_matches},
        skipped::Skipped,
    },
    ports::source::{Listing, SourceError},
};
use serde::{Deserialize, Serialize};

use super::{
    address::{Address, parse as parse_url},
    fetch::{Fetched, Seen, fetch, parse},
    files::Files,
    lenient,
    root::Keys,
};
use crate::source::http::Fetcher;

/// The answer of the `list` endpoint, kept for the next survey.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct ListState {
    seen: Seen,
    names: Vec<String>,
}

#[derive(Deserialize)]
struct ListFile {
    #[serde(rename = "packageNames", deserialize_with = "lenient::items")]
    names: Vec<String>,
}

/// Whether the `list` endpoint has to be asked: only if the root file itself does not name every package.
pub(super) fn needs_list(keys: &Keys) -> bool {
    let by_name = keys.metadata_url.is_some() || keys.lazy_url.is_some();
    by_name && (keys.available.is_empty() || !keys.patterns.is_empty())
}

/// Asks the `list` endpoint. `None` if it is not there after all.
pub(super) async fn fetch_list(
    fetcher: &Fetcher,
    address: &Address,
    list: &str,
    known: Option<&ListState>,
) -> Result<Option<ListState>, SourceError> {
    let url = parse_url(&address.complete(list))?;
    match fetch(fetcher, &url, known.map(|known| &known.seen)).await? {
        Fetched::Same => Ok(known.cloned()),
        Fetched::Missing => Ok(None),
        Fetched::Body(bytes, seen) => {
            let file = parse(&url, bytes, |bytes| {
                serde_json::from_slice::<ListFile>(bytes)
            })
            .await?;
            Ok(Some(ListState {
                seen,
                names: file.names,
            }))
        }
    }
}

/// Puts together what the repository says about its names.
///
/// - Inline packages and hashed providers are lists of names.
/// - `list`, where it was asked, is one too; together with `available-packages`.
/// - `available-packages` alone is one. With `available-package-patterns` beside it and no `list`, the names become
///   patterns of themselves, as clients take a name that is in either.
/// - Else nothing is known.
pub(super) fn listing(
    files: &Files,
    list: Option<&ListState>,
    skipped: &mut Vec<Skipped>,
) -> Listing {
    let keys = &files.keys;
    let mut names = BTreeSet::new();
    for file in &files.list {
        names.extend(file.packages().keys().cloned());
        names.extend(file.providers().keys().cloned());
    }
    let listed = list.map(|list| list.names.as_slice()).unwrap_or_default();
    for name in keys.available.iter().chain(listed) {
        match PackageName::parse(name) {
            Ok(name) => drop(names.insert(name)),
            Err(error) => skipped.push(Skipped::new(name.as_str(), error.to_string())),
        }
    }
    let by_name = keys.metadata_url.is_some() || keys.lazy_url.is_some();
    let complete =
        !by_name || list.is_some() || (!keys.available.is_empty() && keys.patterns.is_empty());
    if complete {
        return Listing::Names(names.into_iter().collect());
    }
    if keys.patterns.is_empty() {
        return Listing::Unlisted;
    }
    let patterns = keys
        .patterns
        .iter()
        .map(|pattern| NamePattern::new(pattern));
    Listing::Patterns(
        patterns
            .chain(names.iter().map(|name| NamePattern::new(name.as_str())))
            .collect(),
    )
}

/// The names a repository limits itself to: others are never asked for, as with clients.
pub(super) struct Claims {
    names: HashSet<String>,
    patterns: Vec<NamePattern>,
}

impl Claims {
    /// What the root file says.
    pub(super) fn new(keys: &Keys) -> Self {
        Self {
            names: keys
                .available
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            patterns: keys
                .patterns
                .iter()
                .map(|pattern| NamePattern::new(pattern))
                .collect(),
        }
    }

    /// Whether a name may be there.
    pub(super) fn may_have(&self, name: &PackageName) -> bool {
        let unlimited = self.names.is_empty() && self.patterns.is_empty();
        unlimited
            || self.names.contains(name.as_str())
            || any_matches(&self.patterns, name.as_str())
    }
}
