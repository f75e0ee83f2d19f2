//! What a view shows of the names there are.

use super::{catalog::Catalog, reach::Demand};
use crate::{
    domain::{names::PackageName, patterns::NamePattern, scope::Scope},
    ports::source::Listing,
};

/// What a view shows of the names there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Exact names, sorted; not all of them if the view is open, which shows none.
    pub names: Vec<PackageName>,
    /// Patterns of names that may be there, and of names that are ours whether or not they are there.
    pub patterns: Vec<NamePattern>,
    /// Whether any name may be there: the client has to ask.
    pub open: bool,
}

impl Outline {
    /// What a scope sees of the catalog.
    pub fn of(catalog: &Catalog, scope: &Scope) -> Self {
        let outline = Self::reached(catalog, scope, |_| true);
        if outline.open {
            return outline.sorted();
        }
        outline.with_held(catalog, scope)
    }

    /// Every name that a scope sees and that can be had now, also if there may be others.
    pub(super) fn listed(catalog: &Catalog, scope: &Scope) -> Vec<PackageName> {
        Self::reached(catalog, scope, |demand| demand == Demand::Ask)
            .with_held(catalog, scope)
            .names
    }

    fn with_held(mut self, catalog: &Catalog, scope: &Scope) -> Self {
        catalog.each(|name, entry| {
            if scope.covers(name.as_str(), &entry.published.owner) {
                self.names.push(name.clone());
            }
        });
        self.sorted()
    }

    /// The claims, and what repositories may have that are not read whole, if their state is `wanted`.
    fn reached(catalog: &Catalog, scope: &Scope, wanted: impl Fn(Demand) -> bool) -> Self {
        let mut outline = Self::default();
        let installation = catalog.installation();
        let claims = installation
            .claims()
            .iter()
            .filter(|pattern| scope.touches(pattern));
        outline.patterns.extend(claims.cloned());
        for (repository, reach) in catalog.reaches() {
            if !scope.covers_repository(&repository.name) || !wanted(reach.demand) {
                continue;
            }
            let may_have = |name: &&PackageName| {
                installation.may_ask(&repository, name.as_str()) && scope.covers_name(name.as_str())
            };
            // A private repository's include patterns are claims and so are there already.
            match reach.listing {
                Listing::Names(names) => {
                    outline.names.extend(names.iter().filter(may_have).cloned());
                }
                _ if !repository.filter.include.is_empty() => {
                    let include = repository
                        .filter
                        .include
                        .iter()
                        .filter(|pattern| scope.touches(pattern));
                    outline.patterns.extend(include.cloned());
                }
                Listing::Patterns(patterns) => {
                    outline.patterns.extend(
                        patterns
                            .into_iter()
                            .filter(|pattern| scope.touches(pattern)),
                    );
                }
                Listing::Unlisted => outline.open = true,
            }
        }
        outline.bounded_by(scope)
    }

    /// An open view of a token with package patterns is bounded by those.
    fn bounded_by(mut self, scope: &Scope) -> Self {
        if self.open && !scope.packages.is_empty() {
            self.open = false;
            self.patterns.extend(scope.packages.iter().cloned());
        }
        self
    }

    fn sorted(mut self) -> Self {
        self.names.sort();
        self.names.dedup();
        self.patterns.sort();
        self.patterns.dedup();
        self
    }
}
