//! One sync of one repository.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Opened, SyncError, SyncService, stage::Staged};
use crate::{
    domain::{names::PackageName, repository::Repository, repository::SyncMode},
    ports::{
        database::{Failure, RepositoryRecord},
        source::{Listing, SourceError, Survey},
    },
    services::{
        catalog::{Demand, Reach},
        publish::{BATCH, Prepared},
    },
};

/// Failures one after another after which the source is taken to be down.
const GIVE_UP_AFTER: usize = 10;
/// How often a long sync says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// What a sync did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncReport {
    /// Packages read from the source.
    pub read: usize,
    /// Packages whose content changed, or that are new.
    pub changed: usize,
    /// Packages that are no longer there.
    pub removed: usize,
}

/// A digest of the settings that decide what is read. Priority and credentials are not among them.
pub(crate) fn fingerprint(repository: &Repository) -> String {
    let mut hash = Sha256::new();
    let path = repository.path.as_deref().unwrap_or_default();
    for part in [repository.kind.as_str(), &repository.url, path] {
        hash.update(part);
        hash.update([0]);
    }
    hash.update(serde_json::to_vec(&repository.filter).unwrap_or_default());
    hex::encode(hash.finalize().get(..16).unwrap_or_default())
}

impl SyncService {
    /// Syncs one repository and records how it went. One sync of a repository runs at a time.
    ///
    /// # Errors
    /// [`SyncError`]; it is also kept in the repository's record.
    pub async fn sync(&self, repository: &Arc<Repository>) -> Result<SyncReport, SyncError> {
        let started = Instant::now();
        let result = self.attempt(repository).await;
        match &result {
            Ok(report) => {
                self.telemetry.syncs_succeeded.increment();
                let SyncReport {
                    read,
                    changed,
                    removed,
                } = *report;
                let seconds = started.elapsed().as_secs_f64();
                tracing::info!(repository = %repository.name, read, changed, removed, seconds, "synced");
            }
            Err(error) => {
                self.telemetry.syncs_failed.increment();
                tracing::warn!(repository = %repository.name, %error, "sync failed");
                self.record_failure(repository, error).await;
            }
        }
        result
    }

    async fn attempt(&self, repository: &Arc<Repository>) -> Result<SyncReport, SyncError> {
        let opened = self.opened(repository)?;
        let _turn = opened.turn.lock().await;
        tokio::time::timeout(repository.timeout, self.run(&opened))
            .await
            .unwrap_or(Err(SyncError::Timeout(repository.timeout)))
    }

    async fn run(&self, opened: &Opened) -> Result<SyncReport, SyncError> {
        let repository = &opened.repository;
        let before = self.record(repository).await?;
        let survey = opened.source.survey(before.state.as_deref()).await?;
        opened.set_reader(Arc::clone(&survey.reader));
        let plan = plan(repository, &survey)?;
        if let Some(reach) = &plan.reach {
            self.catalog
                .set_reach(&repository.name, Some(reach.clone()));
        }
        let held = self.catalog.held_by(&repository.name);
        let mut report = SyncReport::default();
        if !survey.unchanged || before.changed_at.is_none() {
            let names = plan.names.clone().unwrap_or_else(|| {
                held.iter()
                    .filter(|n| repository.filter.accepts(n.as_str()))
                    .cloned()
                    .collect()
            });
            report = self.read_all(opened, &survey, names).await?;
            let gone = vanished(&held, plan.names.as_deref(), repository);
            report.removed += gone.len();
            self.publisher.remove(&repository.name, &gone).await?;
        }
        self.record_success(repository, before, &survey, &plan, &report)
            .await?;
        if plan.reach.is_none() {
            self.catalog.set_reach(&repository.name, None);
        }
        Ok(report)
    }

    /// Reads packages several at once, and writes them in batches while others are being read.
    async fn read_all(
        &self,
        opened: &Opened,
        survey: &Survey,
        names: Vec<PackageName>,
    ) -> Result<SyncReport, SyncError> {
        let repository = &opened.repository;
        let total = names.len();
        let concurrency = self.catalog.installation().limits().max_concurrent;
        let (sender, receiver) = mpsc::channel(BATCH);
        let done = AtomicUsize::new(0);
        let reading = async move {
            let mut outcome = Outcome::default();
            let mut last_word = Instant::now();
            let reads = stream::iter(names).map(|name| async {
                let staged = self.stage(repository, &*survey.reader, &name).await;
                (name, staged)
            });
            let mut reads = reads.buffer_unordered(concurrency);
            while let Some((name, staged)) = reads.next().await {
                outcome.take(&name, staged, &sender).await?;
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                if last_word.elapsed() >= PROGRESS_EVERY {
                    last_word = Instant::now();
                    tracing::info!(repository = %repository.name, done, total, "syncing");
                }
            }
            Ok::<Outcome, SyncError>(outcome)
        };
        let (outcome, written) = tokio::join!(reading, self.write_batches(repository, receiver));
        written?;
        let outcome = outcome?;
        self.publisher
            .remove(
                &repository.name,
                &self.only_held(repository, &outcome.absent),
            )
            .await?;
        outcome.into_report(total)
    }

    async fn write_batches(
        &self,
        repository: &Repository,
        mut receiver: mpsc::Receiver<Prepared>,
    ) -> Result<(), SyncError> {
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            self.publisher
                .put(&repository.name, std::mem::take(&mut batch))
                .await?;
        }
        Ok(())
    }

    fn only_held(&self, repository: &Repository, names: &[PackageName]) -> Vec<PackageName> {
        names
            .iter()
            .filter(|name| self.catalog.held(&repository.name, name.as_str()).is_some())
            .cloned()
            .collect()
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
            .unwrap_or_else(|| RepositoryRecord {
                name: repository.name.clone(),
                kind: repository.kind.as_str().to_owned(),
                url: repository.url.clone(),
                fingerprint,
                state: None,
                listing: None,
                changed_at: None,
                failure: None,
                skipped: Vec::new(),
            }))
    }

    /// Writes the record, but only if something in it moved: a sync that changed nothing writes nothing.
    async fn record_success(
        &self,
        repository: &Repository,
        before: RepositoryRecord,
        survey: &Survey,
        plan: &Plan,
        report: &SyncReport,
    ) -> Result<(), SyncError> {
        let changed = report.changed + report.removed > 0 || before.changed_at.is_none();
        let record = RepositoryRecord {
            kind: repository.kind.as_str().to_owned(),
            url: repository.url.clone(),
            state: survey.state.clone(),
            listing: plan
                .reach
                .as_ref()
                .and_then(|reach| serde_json::to_string(&reach.listing).ok()),
            changed_at: if changed {
                Some(jiff::Timestamp::now())
            } else {
                before.changed_at
            },
            failure: None,
            skipped: if survey.unchanged {
                before.skipped.clone()
            } else {
                survey.skipped.clone()
            },
            ..before.clone()
        };
        if record != before {
            self.database.save_repository(&record).await?;
        }
        Ok(())
    }

    async fn record_failure(&self, repository: &Repository, error: &SyncError) {
        if let Some(reach) = self.catalog.reach(&repository.name)
            && reach.demand == Demand::Wait
        {
            self.catalog.set_reach(
                &repository.name,
                Some(Reach {
                    demand: Demand::Unknown,
                    ..reach
                }),
            );
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
        if let Err(error) = self.database.save_repository(&record).await {
            tracing::error!(repository = %repository.name, %error, "the failure of a sync could not be recorded");
        }
    }
}

/// What a sync is going to read.
struct Plan {
    /// Every name of the source; `None` in lazy mode, where only names that were asked for are kept fresh.
    names: Option<Vec<PackageName>>,
    /// In lazy mode, the names it may have.
    reach: Option<Reach>,
}

fn plan(repository: &Repository, survey: &Survey) -> Result<Plan, SourceError> {
    let lazy = |listing: &Listing| {
        let mut listing = listing.clone();
        if let Listing::Names(names) = &mut listing {
            names.sort();
        }
        Plan {
            names: None,
            reach: Some(Reach {
                listing,
                demand: Demand::Ask,
            }),
        }
    };
    match (&survey.listing, repository.mode) {
        (Listing::Names(names), None | Some(SyncMode::Eager)) => {
            let names = names
                .iter()
                .filter(|name| repository.filter.accepts(name.as_str()))
                .cloned()
                .collect();
            Ok(Plan {
                names: Some(names),
                reach: None,
            })
        }
        (listing, None | Some(SyncMode::Lazy)) => Ok(lazy(listing)),
        (_, Some(SyncMode::Eager)) => Err(SourceError::Misconfigured {
            problem: format!(
                "{} publishes no list of its packages, so it cannot be synced ahead",
                repository.url
            ),
            fix: "set spec.sync.mode to lazy, or leave it out".to_owned(),
        }),
    }
}

/// The held names that the source or the filter no longer has.
fn vanished(
    held: &[PackageName],
    names: Option<&[PackageName]>,
    repository: &Repository,
) -> Vec<PackageName> {
    let listed: Option<HashSet<&PackageName>> = names.map(|names| names.iter().collect());
    let stays = |name: &&PackageName| {
        repository.filter.accepts(name.as_str())
            && listed.as_ref().is_none_or(|listed| listed.contains(name))
    };
    held.iter().filter(|name| !stays(name)).cloned().collect()
}

/// How the reading went so far.
#[derive(Default)]
struct Outcome {
    read: usize,
    changed: usize,
    absent: Vec<PackageName>,
    failed: usize,
    failed_in_a_row: usize,
    first_failure: Option<(PackageName, SyncError)>,
}

impl Outcome {
    async fn take(
        &mut self,
        name: &PackageName,
        staged: Result<Staged, SyncError>,
        sender: &mpsc::Sender<Prepared>,
    ) -> Result<(), SyncError> {
        self.read += 1;
        match staged {
            Ok(Staged::Unchanged) => {}
            Ok(Staged::Absent) => self.absent.push(name.clone()),
            Ok(Staged::Changed(prepared)) => {
                self.changed += 1;
                // The writer stops early only by an error of its own, which the caller then sees.
                sender
                    .send(*prepared)
                    .await
                    .map_err(|_| SyncError::Stopped)?;
            }
            Err(error) => return self.note_failure(name, error),
        }
        self.failed_in_a_row = 0;
        Ok(())
    }

    /// One package's failure is noted; a lasting one, or many in a row, ends the sync.
    fn note_failure(&mut self, name: &PackageName, error: SyncError) -> Result<(), SyncError> {
        tracing::debug!(package = %name, %error, "a package could not be read");
        self.failed += 1;
        self.failed_in_a_row += 1;
        if error.is_lasting()
            || matches!(error, SyncError::Database(_))
            || self.failed_in_a_row >= GIVE_UP_AFTER
        {
            return Err(error);
        }
        self.first_failure
            .get_or_insert_with(|| (name.clone(), error));
        Ok(())
    }

    fn into_report(self, total: usize) -> Result<SyncReport, SyncError> {
        match self.first_failure {
            None => Ok(SyncReport {
                read: self.read,
                changed: self.changed,
                removed: 0,
            }),
            Some((name, error)) => Err(SyncError::Partial {
                failed: self.failed,
                total,
                first: format!("{name}: {error}"),
                retry_after: error.retry_after(),
            }),
        }
    }
}
