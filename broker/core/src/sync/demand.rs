//! Reading one package because a client asks for it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tracing::instrument;

use super::{Opened, ReadError, SyncError, SyncService, stage::Staged};
use crate::{
    domain::{names::PackageName, repository::Repository},
    ports::source::PackageReader,
    telemetry::TRACE,
};

/// The longest time that "the source does not have it" is believed without asking again.
const MAX_ABSENT_AGE: Duration = Duration::from_mins(5);
/// The longest time one package may take.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
/// Packages of one repository that may be waited for.
const MAX_WAITING: usize = 512;
/// A failure that took so long is not waited for again by everybody who comes next.
const SLOW: Duration = Duration::from_secs(5);
/// How long a source that failed slowly is left alone.
const LEFT_ALONE: Duration = Duration::from_secs(15);

/// What is asked of one source on demand.
pub(super) struct Demands {
    slots: Semaphore,
    /// Places in the line for a slot.
    line: Semaphore,
    slow_failure: Mutex<Option<(Instant, ReadError)>>,
}

impl Demands {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: Semaphore::new(slots),
            line: Semaphore::new(MAX_WAITING),
            slow_failure: Mutex::default(),
        }
    }

    /// The failure for which the source is left alone now.
    fn left_alone(&self) -> Option<ReadError> {
        let failure = self
            .slow_failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let (at, error) = failure.as_ref()?;
        (at.elapsed() < LEFT_ALONE).then(|| error.clone())
    }

    fn note(&self, began: Instant, error: &ReadError) {
        if began.elapsed() >= SLOW {
            let noted = Some((Instant::now(), error.clone()));
            *self
                .slow_failure
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = noted;
        }
    }
}

impl SyncService {
    /// Reads one package of a lazy repository, once however many ask. Returns whether the repository has it; if so, it
    /// is stored and published.
    ///
    /// # Errors
    /// [`ReadError`] if the source does not answer and did not say lately whether it has the package.
    pub async fn read_on_demand(
        self: &Arc<Self>,
        repository: &Arc<Repository>,
        package: &PackageName,
    ) -> Result<bool, ReadError> {
        let key = (repository.name.clone(), package.clone());
        let absent_since = self.absent.get(&key);
        if absent_since.is_some_and(|since| is_believed(since, repository)) {
            return Ok(false);
        }
        let (service, own, name) = (Arc::clone(self), Arc::clone(repository), package.clone());
        let work = move || async move { service.read_in_turn(&own, &name).await }.boxed();
        let read = self.on_demand.join(key, work).await;
        match read.unwrap_or_else(|| Err(SyncError::Stopped.into())) {
            // As old as anything else may be that we say of this source.
            Err(error)
                if absent_since.is_some_and(|since| {
                    since.elapsed() < repository.cadence.period(Timestamp::now())
                }) =>
            {
                tracing::warn!(repository = %repository.name, %package, %error, "believing an older answer");
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(repository = %repository.name, %package, %error, "a package could not be read");
                Err(error)
            }
            read => read,
        }
    }

    #[instrument(
        target = TRACE, name = "read on demand", skip_all,
        fields(package_broker.repository = %repository.name, package_broker.package = %package)
    )]
    async fn read_in_turn(
        &self,
        repository: &Arc<Repository>,
        package: &PackageName,
    ) -> Result<bool, ReadError> {
        let opened = self.opened(repository).map_err(SyncError::from)?;
        let demands = &opened.on_demand;
        let _place = demands.line.try_acquire().map_err(|_| SyncError::Busy)?;
        let _slot = demands
            .slots
            .acquire()
            .await
            .map_err(|_| SyncError::Stopped)?;
        if let Some(has) = self.read_since(repository, package) {
            return Ok(has);
        }
        if let Some(error) = demands.left_alone() {
            return Err(error);
        }
        let began = Instant::now();
        let read = self.read_now(&opened, package).await;
        read.map_err(ReadError::from)
            .inspect_err(|error| demands.note(began, error))
    }

    /// What an earlier flight found after the asker had looked, but before this flight began.
    fn read_since(&self, repository: &Repository, package: &PackageName) -> Option<bool> {
        if self
            .catalog
            .held(&repository.name, package.as_str())
            .is_some()
        {
            return Some(true);
        }
        let absent_since = self
            .absent
            .get(&(repository.name.clone(), package.clone()))?;
        is_believed(absent_since, repository).then_some(false)
    }

    async fn read_now(&self, opened: &Opened, package: &PackageName) -> Result<bool, SyncError> {
        let repository = &opened.repository;
        self.telemetry.lazy_reads.increment();
        let reading = async {
            let reader = self.reader_of(opened).await?;
            self.stage(repository, &reader, package).await
        };
        let limit = repository.timeout.min(READ_TIMEOUT);
        let staged = tokio::time::timeout(limit, reading)
            .await
            .map_err(|_| SyncError::Timeout(limit))??;
        match staged {
            Staged::Unchanged => Ok(true),
            Staged::Changed(prepared) => {
                self.publisher
                    .put(&repository.name, vec![*prepared], None)
                    .await?;
                Ok(true)
            }
            Staged::Absent => {
                self.absent
                    .insert((repository.name.clone(), package.clone()), Instant::now());
                Ok(false)
            }
        }
    }

    /// The reader of the last survey; takes a survey first if there was none since the start.
    async fn reader_of(&self, opened: &Opened) -> Result<Arc<dyn PackageReader>, SyncError> {
        if let Some(reader) = opened.reader() {
            return Ok(reader);
        }
        let state = self.record(&opened.repository).await?.state;
        Ok(opened.first_survey(state.as_deref()).await?)
    }
}

/// Whether "the source does not have it" still counts.
fn is_believed(absent_since: Instant, repository: &Repository) -> bool {
    let interval = repository.cadence.interval();
    absent_since.elapsed()
        < interval.map_or(MAX_ABSENT_AGE, |interval| interval.min(MAX_ABSENT_AGE))
}
