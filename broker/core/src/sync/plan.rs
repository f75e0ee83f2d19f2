//! What a sync is going to read, decided from the survey of its source.

use std::collections::HashSet;

use crate::{
    domain::{
        installation::Installation,
        names::PackageName,
        repository::{Repository, SyncMode},
    },
    ports::source::{Listing, SourceError, Survey},
};

/// What a sync is going to read.
pub(super) struct Plan {
    /// Every name of the source that it may serve; `None` in lazy mode, where only names that were asked for are kept
    /// fresh.
    pub(super) names: Option<Vec<PackageName>>,
    /// In lazy mode, the names it may have.
    pub(super) listing: Option<Listing>,
}

/// Decides by what the source said of its names and by `spec.sync.mode`.
pub(super) fn plan(
    installation: &Installation,
    repository: &Repository,
    survey: &Survey,
) -> Result<Plan, SourceError> {
    match (&survey.listing, repository.mode) {
        (Listing::Names(names), None | Some(SyncMode::Eager)) => {
            let names = names
                .iter()
                .filter(|name| installation.may_ask(repository, name.as_str()))
                .cloned()
                .collect();
            Ok(Plan {
                names: Some(names),
                listing: None,
            })
        }
        (listing, None | Some(SyncMode::Lazy)) => Ok(Plan {
            names: None,
            listing: Some(sorted(listing.clone())),
        }),
        (_, Some(SyncMode::Eager)) => Err(SourceError::Misconfigured {
            problem: format!(
                "{} publishes no list of its packages, so it cannot be synced ahead",
                repository.url
            ),
            fix: "set spec.sync.mode to lazy, or leave it out".to_owned(),
        }),
    }
}

/// A listing whose names can be searched.
pub(super) fn sorted(mut listing: Listing) -> Listing {
    if let Listing::Names(names) = &mut listing {
        names.sort();
        names.dedup();
    }
    listing
}

/// The held names that the source no longer has, or that it may no longer serve.
pub(super) fn vanished(
    installation: &Installation,
    repository: &Repository,
    held: &[PackageName],
    names: Option<&[PackageName]>,
) -> Vec<PackageName> {
    let listed: Option<HashSet<&PackageName>> = names.map(|names| names.iter().collect());
    let stays = |name: &&PackageName| {
        installation.may_ask(repository, name.as_str())
            && listed.as_ref().is_none_or(|listed| listed.contains(name))
    };
    held.iter().filter(|name| !stays(name)).cloned().collect()
}
