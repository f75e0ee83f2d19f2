//! From new manifests to a running installation.

use std::sync::Arc;

use super::{
    audit::AuditService,
    catalog::Catalog,
    publish::Publisher,
    reach::{Demand, Reach},
};
use crate::{
    domain::{
        audit::{Action, Actor, Event},
        installation::Installation,
        names::RepositoryName,
        repository::{Repository, SyncMode},
    },
    ports::{
        database::{Database, DatabaseError, RepositoryRecord},
        source::Listing,
    },
    sync::{SyncService, fingerprint::fingerprint},
};

/// The setting that says what the published documents were rendered with.
const RENDERED_WITH: &str = "rendered-with";
/// Raised when the rendering of documents changes, so that a new program renders them again.
const RENDERING: u32 = 1;

/// Puts installations in force.
pub struct RepositoryService {
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    publisher: Arc<Publisher>,
    syncs: Arc<SyncService>,
    audit: Arc<AuditService>,
}

impl RepositoryService {
    /// A service over the shared memory.
    pub fn new(
        database: Arc<dyn Database>,
        catalog: Arc<Catalog>,
        publisher: Arc<Publisher>,
        syncs: Arc<SyncService>,
        audit: Arc<AuditService>,
    ) -> Self {
        Self {
            database,
            catalog,
            publisher,
            syncs,
            audit,
        }
    }

    /// Makes an installation the one in force, and returns it as it is kept: with the very repositories of before where
    /// their settings stand. Requests are answered all the while. Interrupted, it is taken up by the next call.
    pub async fn install(
        &self,
        installation: Installation,
    ) -> Result<Arc<Installation>, DatabaseError> {
        // What a sync stored before this was declared is to be settled too; from then on, the database refuses it.
        self.publisher.catch_up().await?;
        let before = self.catalog.installation();
        let records = self.database.repositories().await?;
        let installation = self.put_in_force(installation, &records);
        self.note_changed(&before, &installation, &records);
        self.note_new(&installation, &records).await?;
        self.remove_others(&installation, &records).await?;
        let rendered_with = format!("{RENDERING} {}", installation.urls().base());
        let everything =
            self.database.setting(RENDERED_WITH).await?.as_ref() != Some(&rendered_with);
        self.publisher.settle_owners(everything).await?;
        if everything {
            self.database
                .save_setting(RENDERED_WITH, &rendered_with)
                .await?;
        }
        Ok(installation)
    }

    /// Makes an installation the one in force in this process, after another process [installed](Self::install) it in
    /// the same database: nothing is written.
    pub async fn adopt(
        &self,
        installation: Installation,
    ) -> Result<Arc<Installation>, DatabaseError> {
        let records = self.database.repositories().await?;
        Ok(self.put_in_force(installation, &records))
    }

    fn put_in_force(
        &self,
        installation: Installation,
        records: &[RepositoryRecord],
    ) -> Arc<Installation> {
        let installation = Arc::new(installation.keeping(&self.catalog.installation()));
        let from_nothing = self.catalog.is_empty();
        self.catalog
            .install(Arc::clone(&installation), |repository| {
                let record = records.iter().find(|record| record.name == repository.name);
                first_reach(repository, record, from_nothing)
            });
        self.syncs.forget_opened();
        installation
    }

    /// Takes over what other processes found out about how far the names of repositories are known. What the records
    /// speak of has to be in memory by now. A repository that is being synced here is left to that.
    pub fn take_over(&self, records: &[RepositoryRecord]) {
        for repository in self.catalog.installation().repositories() {
            let Some(record) = records.iter().find(|record| record.name == repository.name) else {
                continue;
            };
            if self.syncs.is_syncing(repository) {
                continue;
            }
            let present = self.catalog.reach(&repository.name);
            let from_nothing = present.is_some_and(|reach| reach.from_nothing);
            let mut reach = first_reach(repository, Some(record), from_nothing);
            if let Some(reach) = &mut reach
                && reach.demand == Demand::Wait
                && record.failure.is_some()
            {
                reach.demand = Demand::Unknown;
            }
            self.catalog.set_reach(&repository.name, reach);
        }
    }

    /// Records which repositories have other settings than before. After a start, that is known only of the settings
    /// that their packages were read with.
    fn note_changed(
        &self,
        before: &Installation,
        installation: &Installation,
        records: &[RepositoryRecord],
    ) {
        for repository in installation.repositories() {
            let changed = match before.repository(&repository.name) {
                Some(known) => !Arc::ptr_eq(known, repository),
                None => records.iter().any(|record| {
                    record.name == repository.name && record.fingerprint != fingerprint(repository)
                }),
            };
            if changed {
                self.audit_settings(Action::RepositoryChanged, repository);
            }
        }
    }

    fn audit_settings(&self, action: Action, repository: &Repository) {
        let detail = serde_json::json!({
            "type": repository.kind.as_str(),
            "url": repository.url,
            "priority": repository.priority,
        });
        self.audit.note(&Event {
            subject: Some(repository.name.as_str()),
            detail: Some(&detail.to_string()),
            ..Event::new(Actor::Manifests, action)
        });
    }

    /// Gives every new repository a record, so that it shows before it was ever tried.
    async fn note_new(
        &self,
        installation: &Installation,
        records: &[RepositoryRecord],
    ) -> Result<(), DatabaseError> {
        for repository in installation.repositories() {
            if !records.iter().any(|record| record.name == repository.name) {
                let record = RepositoryRecord::new(repository, fingerprint(repository));
                self.database.save_repository(&record, None).await?;
                self.audit_settings(Action::RepositoryAdded, repository);
            }
        }
        Ok(())
    }

    /// Removes what belongs to repositories that are no longer there. Their archives stay.
    async fn remove_others(
        &self,
        installation: &Installation,
        records: &[RepositoryRecord],
    ) -> Result<(), DatabaseError> {
        let gone = |name: &RepositoryName| installation.repository(name).is_none();
        for name in self.catalog.holders().iter().filter(|name| gone(name)) {
            self.publisher
                .remove(name, &self.catalog.held_by(name), None)
                .await?;
        }
        for record in records.iter().filter(|record| gone(&record.name)) {
            self.database.forget_repository(&record.name).await?;
            self.audit.note(&Event {
                subject: Some(record.name.as_str()),
                ..Event::new(Actor::Manifests, Action::RepositoryRemoved)
            });
            tracing::info!(repository = %record.name, "repository removed");
        }
        Ok(())
    }
}

/// What is known of a repository's names before its first sync in this process; `None` if all of them are held.
fn first_reach(
    repository: &Repository,
    record: Option<&RepositoryRecord>,
    from_nothing: bool,
) -> Option<Reach> {
    if repository.suspended {
        return None;
    }
    let record = record.filter(|record| {
        record.fingerprint == fingerprint(repository) && record.changed_at.is_some()
    });
    let listing = record.and_then(|record| record.listing.as_deref());
    if let Some(listing) = listing.and_then(|text| serde_json::from_str(text).ok()) {
        return Some(Reach {
            listing,
            demand: Demand::Ask,
            from_nothing,
        });
    }
    if record.is_some() && repository.mode != Some(SyncMode::Lazy) {
        return None;
    }
    let include = &repository.filter.include;
    let listing = if include.is_empty() {
        Listing::Unlisted
    } else {
        Listing::Patterns(include.clone())
    };
    let demand = if repository.mode == Some(SyncMode::Lazy) {
        Demand::Ask
    } else {
        Demand::Wait
    };
    Some(Reach {
        listing,
        demand,
        from_nothing,
    })
}
