//! What a transaction changed of packages, as records.

use super::AuditService;
use crate::{
    domain::{
        audit::{Action, Actor, Event},
        names::{PackageName, RepositoryName},
    },
    ports::database::{Applied, Changes},
    services::catalog::Catalog,
};

impl AuditService {
    /// Records changes that were stored. The catalog has not heard of them yet: it tells who served what before.
    pub(in super::super) fn note_changes(
        &self,
        actor: Actor<'_>,
        catalog: &Catalog,
        changes: &Changes,
        applied: &Applied,
    ) {
        let note = |action, package: &PackageName, repository: Option<&RepositoryName>| {
            self.note(&Event {
                subject: Some(package.as_str()),
                repository: repository.map(RepositoryName::as_str),
                ..Event::new(actor, action)
            });
        };
        for put in &changes.put {
            note(Action::PackageChanged, &put.package, Some(&put.repository));
        }
        for (repository, package) in &changes.remove {
            note(Action::PackageRemoved, package, Some(repository));
        }
        for published in &applied.published {
            let (package, owner) = (&published.package, &published.owner);
            let before = catalog.find(package.as_str());
            if before.is_some_and(|entry| entry.published.owner != *owner) {
                note(Action::PackageMoved, package, Some(owner));
            }
        }
        for package in &changes.withdraw {
            let before = catalog.find(package.as_str());
            let owner = before.as_ref().map(|entry| &entry.published.owner);
            note(Action::PackageWithdrawn, package, owner);
        }
    }
}
