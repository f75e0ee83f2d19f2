//! One sync of one repository.

use std::{sync::Arc, time::Instant};

use tracing::{Instrument, field::Empty};

use super::{
    Attempt, Opened, SyncError, SyncService,
    fingerprint::fingerprint,
    plan::{Plan, plan, sorted, vanished},
    read::Read,
};
use crate::{
    domain::{names::PackageName, repository::Repository},
    ports::{
        database::{DatabaseError, Failure, Fence, RepositoryRecord},
        source::{Listing, Survey},
    },
    services::{
        claim::Claim,
        reach::{Demand, Reach},
    },
    telemetry::TRACE,
};

/// Failed syncs in a row after which a source is believed that says it has no package of a name it lists.
const BELIEVED_AFTER: u32 = 2;

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Packages read from the source.
    pub read: usize,
    /// Packages whose content changed, or that are new.
    pub changed: usize,
    /// Packages that are no longer there.
    pub removed: usize,
    /// What the source was, in its own words.
    pub revision: Option<String>,
}

impl SyncService {
    /// Syncs one repository and records how it went. One sync of a repository runs at a time, in the whole
    /// installation: if another process is at it, this is [`SyncError::Elsewhere`] and changes nothing.
    ///
    /// # Errors
    /// [`SyncError`]; it is also kept in the repository's record.
    pub async fn sync(&self, repository: &Arc<Repository>) -> Result<SyncReport, SyncError> {
        let started = Instant::now();
        let began = jiff::Timestamp::now();
        let span = tracing::info_span!(
            target: TRACE, "sync", package_broker.repository = %repository.name, package_broker.changed = Empty,
            otel.status_code = Empty
        );
        let result = self.attempt(repository).instrument(span.clone()).await;
        match &result {
            Ok(report) => {
                self.telemetry.syncs_succeeded.increment();
                let SyncReport {
                    read,
                    changed,
                    removed,
                    revision: _,
                } = report;
                let seconds = started.elapsed().as_secs_f64();
                span.record("package_broker.changed", changed);
                tracing::info!(repository = %repository.name, read, changed, removed, seconds, "synced");
            }
            Err(SyncError::Elsewhere) => {
                self.telemetry.syncs_elsewhere.increment();
                tracing::info!(repository = %repository.name, "another process is syncing it");
            }
            Err(error) => {
                self.telemetry.syncs_failed.increment();
                span.record("otel.status_code", "ERROR");
                tracing::warn!(repository = %repository.name, %error, "sync failed");
                self.record_failure(repository, error).await;
            }
        }
        if !matches!(result, Err(SyncError::Elsewhere)) {
            let error = result.as_ref().err();
            let attempt = Attempt {
                started: began,
                seconds: started.elapsed().as_secs_f64(),
                error: error.map(SyncError::to_string),
                lasting: error.is_some_and(SyncError::is_lasting),
                revision: result
                    .as_ref()
                    .ok()
                    .and_then(|report| report.revision.clone()),
            };
            self.note_attempt(repository, attempt);
        }
        result
    }

    async fn attempt(&self, repository: &Arc<Repository>) -> Result<SyncReport, SyncError> {
        let opened = self.opened(repository)?;
        let _turn = opened.turn.lock().await;
        let what = format!("sync {}", repository.name);
        let claim = Claim::make(&self.database, &what).await?;
        let claim = claim.ok_or(SyncError::Elsewhere)?;
        // On the heap: it is large, and waits inside many others.
        let run = Box::pin(self.run(&opened, claim.fence()));
        let run = tokio::time::timeout(repository.timeout, run);
        match claim.hold(run).await {
            None | Some(Ok(Err(SyncError::Database(DatabaseError::Fenced)))) => {
                self.telemetry.claims_lost.increment();
                Err(SyncError::Elsewhere)
            }
            Some(Ok(ended)) => ended,
            Some(Err(_)) => Err(SyncError::Timeout(repository.timeout)),
        }
    }

    async fn run(&self, opened: &Opened, fence: Fence) -> Result<SyncReport, SyncError> {
        let repository = &opened.repository;
        // What the last sync did may have been done by another process.
        self.publisher.catch_up().await?;
        let before = self.record(repository).await?;
        let survey = opened.survey(before.state.as_deref()).await?;
        let installation = self.catalog.installation();
        let plan = plan(&installation, repository, &survey)?;
        self.expect_names(repository, &plan);
        let held = self.catalog.held_by(&repository.name);
        let gone = vanished(&installation, repository, &held, plan.names.as_deref());
        let names = self.names_to_read(repository, &before, &survey, &plan, &held, &gone);
        // A source that lists a name and has no file for it is being changed, or is broken.
        let absence_counts = plan.names.is_none()
            || before
                .failure
                .as_ref()
                .is_some_and(|failure| failure.count >= BELIEVED_AFTER);
        let mut read = self
            .read_all(opened, &survey, names, absence_counts, fence)
            .await?;
        read.report.removed += gone.len();
        let reach = self.reach_after(repository, &plan, &read.failed);
        if reach.is_none() {
            // Everything is held: nobody will ask this reader for more.
            opened.forget_reader();
        }
        // Said before the names that vanished go: of them, too, it is known that they are not there.
        self.catalog.set_reach(&repository.name, reach.clone());
        self.publisher
            .remove(&repository.name, &gone, Some(fence))
            .await?;
        let record = record_after(repository, &before, &survey, reach.as_ref(), &read);
        // A sync that changed nothing writes nothing.
        if record != before {
            self.save(repository, &record, Some(fence)).await?;
        }
        read.report.revision = survey.revision;
        read.error.map_or(Ok(read.report), Err)
    }

    /// From the moment a source has named its packages, only those are uncertain that are not read yet.
    fn expect_names(&self, repository: &Repository, plan: &Plan) {
        let Some(reach) = self.catalog.reach(&repository.name) else {
            return;
        };
        let (listing, demand) = match (&plan.listing, &plan.names) {
            (Some(listing), _) => (listing.clone(), Demand::Ask),
            (None, Some(names)) => (sorted(Listing::Names(names.clone())), reach.demand),
            (None, None) => return,
        };
        let reach = Reach {
            listing,
            demand,
            from_nothing: reach.from_nothing,
        };
        self.catalog.set_reach(&repository.name, Some(reach));
    }

    /// The names that may have changed: where the source is as it was, those that are not held yet.
    fn names_to_read(
        &self,
        repository: &Repository,
        before: &RepositoryRecord,
        survey: &Survey,
        plan: &Plan,
        held: &[PackageName],
        gone: &[PackageName],
    ) -> Vec<PackageName> {
        let unchanged = survey.unchanged && before.changed_at.is_some();
        match &plan.names {
            Some(names) => names
                .iter()
                .filter(|name| {
                    !unchanged || self.catalog.held(&repository.name, name.as_str()).is_none()
                })
                .cloned()
                .collect(),
            None if unchanged => Vec::new(),
            None => held
                .iter()
                .filter(|name| !gone.contains(name))
                .cloned()
                .collect(),
        }
    }

    /// What of a repository's names is not held after a sync: in lazy mode what it may have, else what failed.
    fn reach_after(
        &self,
        repository: &Repository,
        plan: &Plan,
        failed: &[PackageName],
    ) -> Option<Reach> {
        let missing = || {
            let failed = failed.iter();
            let unheld =
                failed.filter(|name| self.catalog.held(&repository.name, name.as_str()).is_none());
            let unheld: Vec<PackageName> = unheld.cloned().collect();
            (!unheld.is_empty()).then_some(Listing::Names(unheld))
        };
        let listing = plan.listing.clone().or_else(missing)?;
        Some(Reach {
            listing: sorted(listing),
            demand: Demand::Ask,
            from_nothing: false,
        })
    }

    /// The record of a repository; an empty one if there is none, or if it was made under other settings.
    pub(super) async fn record(
        &self,
        repository: &Repository,
    ) -> Result<RepositoryRecord, SyncError> {
        let fingerprint = fingerprint(repository);
        let records = self.database.repositories().await?;
        let known = records
            .into_iter()
            .find(|record| record.name == repository.name);
        Ok(known
            .filter(|record| record.fingerprint == fingerprint)
            .unwrap_or_else(|| RepositoryRecord::new(repository, fingerprint)))
    }

    async fn record_failure(&self, repository: &Arc<Repository>, error: &SyncError) {
        if let Some(reach) = self.catalog.reach(&repository.name)
            && reach.demand == Demand::Wait
        {
            let reach = Reach {
                demand: Demand::Unknown,
                ..reach
            };
            self.catalog.set_reach(&repository.name, Some(reach));
        }
        let Ok(mut record) = self.record(repository).await else {
            return;
        };
        let count = record.failure.as_ref().map_or(0, |failure| failure.count);
        record.failure = Some(Failure {
            at: jiff::Timestamp::now(),
            count: count + 1,
            message: error.to_string(),
        });
        if let Err(error) = self.save(repository, &record, None).await {
            tracing::error!(repository = %repository.name, %error, "the failure of a sync could not be recorded");
        }
    }

    /// Writes a record, unless the repository was removed or changed in the meantime: then it is not this sync's any
    /// more.
    async fn save(
        &self,
        repository: &Arc<Repository>,
        record: &RepositoryRecord,
        fence: Option<Fence>,
    ) -> Result<(), SyncError> {
        let installation = self.catalog.installation();
        let present = installation.repository(&repository.name);
        if present.is_none_or(|present| !Arc::ptr_eq(present, repository)) {
            return Err(SyncError::Stopped);
        }
        Ok(self.database.save_repository(record, fence).await?)
    }
}

/// What is kept of a sync. After a partial one the state stays the old one, so that the next survey finds the same
/// changes again.
fn record_after(
    repository: &Repository,
    before: &RepositoryRecord,
    survey: &Survey,
    reach: Option<&Reach>,
    read: &Read,
) -> RepositoryRecord {
    let whole = read.error.is_none();
    let report = &read.report;
    let changed = report.changed + report.removed > 0 || before.changed_at.is_none();
    RepositoryRecord {
        kind: repository.kind.as_str().to_owned(),
        url: repository.url.clone(),
        state: if whole {
            survey.state.clone()
        } else {
            before.state.clone()
        },
        listing: reach.and_then(|reach| serde_json::to_string(&reach.listing).ok()),
        changed_at: if changed {
            Some(jiff::Timestamp::now())
        } else {
            before.changed_at
        },
        failure: before.failure.clone().filter(|_| !whole),
        skipped: if survey.unchanged {
            before.skipped.clone()
        } else {
            survey.skipped.clone()
        },
        ..before.clone()
    }
}
