//! `list.json` and `search.json` (protocol A.2), within what the asker may read.

use std::sync::Arc;

use serde::Serialize;

use super::{
    catalog::{Catalog, Entry},
    outline::Outline,
    token::Grant,
};
use crate::domain::{names::PackageName, patterns::NamePattern, scope::Scope};

/// Results of one search; the total says how many there are.
const MAX_RESULTS: usize = 100;

/// The body of `search.json`.
#[derive(Debug, Serialize)]
pub struct SearchResults {
    results: Vec<SearchResult>,
    total: usize,
}

#[derive(Debug, Serialize)]
struct SearchResult {
    name: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    abandoned: Option<serde_json::Value>,
}

/// The body of `list.json`.
#[derive(Debug, Serialize)]
pub struct PackageList {
    #[serde(rename = "packageNames")]
    names: Vec<PackageName>,
}

impl PackageList {
    /// All names that a scope sees: those that are held, and those that lazy repositories list.
    pub(super) fn of(catalog: &Catalog, scope: &Scope) -> Self {
        Self {
            names: Outline::listed(catalog, scope),
        }
    }

    /// The body as JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

/// Answers questions over names.
pub struct SearchService {
    catalog: Arc<Catalog>,
}

impl SearchService {
    /// A service over the shared memory.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog }
    }

    /// The names an asker may see, those of `vendor` only, and those that match the glob `filter` only.
    pub fn list(&self, grant: &Grant, vendor: Option<&str>, filter: Option<&str>) -> PackageList {
        let PackageList { mut names } = PackageList::of(&self.catalog, &grant.scope);
        if let Some(vendor) = vendor.filter(|vendor| !vendor.is_empty()) {
            names.retain(|name| name.vendor().eq_ignore_ascii_case(vendor));
        }
        if let Some(filter) = filter.filter(|filter| !filter.is_empty()) {
            let pattern = NamePattern::new(filter);
            names.retain(|name| pattern.matches(name.as_str()));
        }
        PackageList { names }
    }

    /// The packages whose name or description holds every word of `query`, and whose type is `kind` if one is given.
    /// Those with the words in their names come first.
    pub fn search(&self, grant: &Grant, query: &str, kind: Option<&str>) -> SearchResults {
        let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
        let kind = kind.filter(|kind| !kind.is_empty());
        let mut by_name = Vec::new();
        let mut by_description = Vec::new();
        self.catalog.each(|name, entry| {
            let published = &entry.published;
            if kind.is_some_and(|kind| kind != published.kind)
                || !grant.scope.covers(name.as_str(), &published.owner)
            {
                return;
            }
            if words
                .iter()
                .all(|word| name.as_str().contains(word.as_str()))
            {
                by_name.push(result(entry));
            } else {
                let description = published.description.to_lowercase();
                if words.iter().all(|word| {
                    name.as_str().contains(word.as_str()) || description.contains(word.as_str())
                }) {
                    by_description.push(result(entry));
                }
            }
        });
        by_name.append(&mut by_description);
        let total = by_name.len();
        by_name.truncate(MAX_RESULTS);
        SearchResults {
            results: by_name,
            total,
        }
    }
}

fn result(entry: &Entry) -> SearchResult {
    let published = &entry.published;
    SearchResult {
        name: published.package.as_str().to_owned(),
        description: published.description.clone(),
        abandoned: match published.abandoned.as_str() {
            "" => None,
            "true" => Some(true.into()),
            replacement => Some(replacement.into()),
        },
    }
}
