//! How far the names of repositories are known.

use crate::{domain::repository::Repository, ports::source::Listing};

/// How far the names of a repository are known when not all of them are held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The names it may have. [`Listing::Names`] is sorted.
    pub listing: Listing,
    /// What to do when such a name is asked for.
    pub demand: Demand,
    /// Whether nothing was served yet when this began: then even a name that another repository holds may turn out to
    /// be this one's.
    pub from_nothing: bool,
}

impl Reach {
    /// Whether a name may have another owner than the one it has now.
    pub(super) fn doubts_owners(&self, repository: &Repository) -> bool {
        match self.demand {
            Demand::Ask => true,
            Demand::Wait => self.from_nothing,
            // It may never be read: only names that are its own by pattern wait for it.
            Demand::Unknown => self.from_nothing && !repository.filter.include.is_empty(),
        }
    }
}

/// What to do for a name that a repository may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// Ask the source now.
    Ask,
    /// Its first sync is under way: wait for it.
    Wait,
    /// Its first sync failed: we cannot tell.
    Unknown,
}

/// Whether a source that said `listing` may have a lower-case name.
pub fn reaches(listing: &Listing, name: &str) -> bool {
    match listing {
        Listing::Names(names) => names
            .binary_search_by(|known| known.as_str().cmp(name))
            .is_ok(),
        Listing::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(name)),
        Listing::Unlisted => true,
    }
}
