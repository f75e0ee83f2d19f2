//! Reading many packages of one source: several at once, written in batches while others are being read.

use std::{
    collections::HashSet,
    pin::pin,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokio::sync::mpsc;

use super::{
    Opened, SyncError, SyncReport, SyncService,
    stage::{Before, Staged},
};
use crate::{
    domain::{names::PackageName, repository::Repository},
    ports::{database::Fence, source::Survey},
    services::{publish::BATCH, render::Prepared},
};

/// Failures one after another after which the source is taken to be down.
const GIVE_UP_AFTER: usize = 10;
/// How often a long sync says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(2);

/// How the reading of many packages ended.
#[derive(Default)]
pub(super) struct Read {
    pub(super) report: SyncReport,
    /// Those that could not be read, or were not tried any more, in their order.
    pub(super) failed: Vec<PackageName>,
    /// [`SyncError::Partial`], if any failed.
    pub(super) error: Option<SyncError>,
}

impl SyncService {
    /// Reads packages and stores what is new of them. One that fails does not keep the others from being read.
    ///
    /// With `absence_counts`, a held package that the source says it does not have is removed; without, that is a
    /// failure, because the source lists the name.
    ///
    /// # Errors
    /// Those of the database, and the source's own if not a single package could be read.
    pub(super) async fn read_all(
        &self,
        opened: &Opened,
        survey: &Survey,
        names: Vec<PackageName>,
        absence_counts: bool,
        fence: Fence,
    ) -> Result<Read, SyncError> {
        let repository = &opened.repository;
        let (sender, receiver) = mpsc::channel(BATCH);
        let reading = self.read_each(opened, survey, &names, absence_counts, sender);
        let (outcome, written) =
            tokio::join!(reading, self.write_batches(repository, receiver, fence));
        written?;
        let outcome = outcome?;
        let absent = outcome
            .absent
            .iter()
            .filter(|name| self.catalog.held(&repository.name, name.as_str()).is_some())
            .cloned();
        let absent: Vec<PackageName> = absent.collect();
        self.publisher
            .remove(&repository.name, &absent, Some(fence))
            .await?;
        outcome.ended(&names)
    }

    async fn read_each(
        &self,
        opened: &Opened,
        survey: &Survey,
        names: &[PackageName],
        absence_counts: bool,
        sender: mpsc::Sender<Prepared>,
    ) -> Result<Outcome, SyncError> {
        let repository = &opened.repository;
        let concurrency = self.catalog.installation().limits().packages_per_repository;
        let before = Before {
            validators: self.database.validators(&repository.name).await?,
            checksums: self.publisher.no_checksums(&repository.name).await?,
        };
        let before = &before;
        let mut outcome = Outcome::default();
        let mut last_word = Instant::now();
        let fetches = stream::iter(names.to_vec()).map(|name| async move {
            let found = self.fetch(repository, &survey.reader, &name, before).await;
            (name, found)
        });
        // Apart, so that no connection waits while the processor is at work.
        let reads = fetches
            .buffer_unordered(concurrency)
            .map(|(name, found)| async move {
                let staged = match found {
                    Ok(found) => found.judge().await,
                    Err(error) => Err(error),
                };
                let contradicts = !absence_counts
                    && matches!(staged, Ok(Staged::Absent))
                    && self.catalog.held(&repository.name, name.as_str()).is_some();
                let staged = if contradicts {
                    Err(SyncError::Contradiction)
                } else {
                    staged
                };
                (name, staged)
            });
        let mut reads = pin!(reads.buffer_unordered(concurrency));
        while let Some((name, staged)) = reads.next().await {
            outcome.take(&name, staged, &sender).await?;
            if outcome.failed_in_a_row >= GIVE_UP_AFTER {
                break;
            }
            if last_word.elapsed() >= PROGRESS_EVERY {
                last_word = Instant::now();
                let (done, total) = (outcome.tried, names.len());
                tracing::info!(repository = %repository.name, done, total, "syncing");
            }
        }
        Ok(outcome)
    }

    async fn write_batches(
        &self,
        repository: &Repository,
        mut receiver: mpsc::Receiver<Prepared>,
        fence: Fence,
    ) -> Result<(), SyncError> {
        let mut batch = Vec::with_capacity(BATCH);
        while receiver.recv_many(&mut batch, BATCH).await > 0 {
            self.publisher
                .put(&repository.name, std::mem::take(&mut batch), Some(fence))
                .await?;
        }
        Ok(())
    }
}

/// How the reading went so far.
#[derive(Default)]
struct Outcome {
    tried: usize,
    changed: usize,
    absent: Vec<PackageName>,
    well: HashSet<PackageName>,
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
        self.tried += 1;
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
            Err(error @ (SyncError::Database(_) | SyncError::Stopped)) => return Err(error),
            Err(error) => {
                tracing::debug!(package = %name, %error, "a package could not be read");
                self.failed_in_a_row += 1;
                self.first_failure.get_or_insert((name.clone(), error));
                return Ok(());
            }
        }
        self.failed_in_a_row = 0;
        self.well.insert(name.clone());
        Ok(())
    }

    fn ended(self, names: &[PackageName]) -> Result<Read, SyncError> {
        let report = SyncReport {
            read: self.tried,
            changed: self.changed,
            removed: self.absent.len(),
            revision: None,
        };
        let Some((name, error)) = self.first_failure else {
            return Ok(Read {
                report,
                ..Read::default()
            });
        };
        if self.well.is_empty() {
            return Err(error);
        }
        let failed = names.iter().filter(|name| !self.well.contains(*name));
        let failed: Vec<PackageName> = failed.cloned().collect();
        let partial = SyncError::Partial {
            failed: failed.len(),
            total: names.len(),
            first: format!("{name}: {error}"),
            retry_after: error.retry_after(),
        };
        Ok(Read {
            report,
            failed,
            error: Some(partial),
        })
    }
}
