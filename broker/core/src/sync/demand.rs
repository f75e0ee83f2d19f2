//! Reading one package because a client asks for it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;

use super::{Opened, ReadError, SyncError, SyncService, stage::Staged};
use crate::{
    domain::{names::PackageName, repository::Repository},
    ports::source::PackageReader,
};

/// The longest time that "the source does not have it" is believed.
const MAX_ABSENT_AGE: Duration = Duration::from_mins(5);

impl SyncService {
    /// Reads one package of a lazy repository, once however many ask. Returns whether the repository has it; if so, it
    /// is stored and published.
    ///
    /// # Errors
    /// [`ReadError`] if the source does not answer and never said whether it has the package.
    pub async fn read_on_demand(
        self: &Arc<Self>,
        repository: &Arc<Repository>,
        package: &PackageName,
    ) -> Result<bool, ReadError> {
        let key = (repository.name.clone(), package.clone());
        let believed = repository.interval.min(MAX_ABSENT_AGE);
        let absent_since = self.absent.get(&key);
        if absent_since.is_some_and(|since| since.elapsed() < believed) {
            return Ok(false);
        }
        let (service, own, name) = (Arc::clone(self), Arc::clone(repository), package.clone());
        let work = move || {
            async move { service.read_now(&own, &name).await.map_err(ReadError::from) }.boxed()
        };
        let read = self.on_demand.join(key, work).await;
        match read.unwrap_or_else(|| Err(SyncError::Stopped.into())) {
            Err(error) if absent_since.is_some() => {
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

    async fn read_now(
        &self,
        repository: &Arc<Repository>,
        package: &PackageName,
    ) -> Result<bool, SyncError> {
        let _slot = self.slots.acquire().await.map_err(|_| SyncError::Stopped)?;
        self.telemetry.lazy_reads.increment();
        let reading = async {
            let opened = self.opened(repository)?;
            let reader = self.reader_of(&opened).await?;
            self.stage(repository, &*reader, package).await
        };
        let staged = tokio::time::timeout(repository.timeout.min(Duration::from_mins(1)), reading)
            .await
            .map_err(|_| SyncError::Timeout(repository.timeout))??;
        match staged {
            Staged::Unchanged => Ok(true),
            Staged::Changed(prepared) => {
                self.publisher
                    .put(&repository.name, vec![*prepared])
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
        let _turn = opened.turn.lock().await;
        if let Some(reader) = opened.reader() {
            return Ok(reader);
        }
        let state = self.record(&opened.repository).await?.state;
        let survey = opened.source.survey(state.as_deref()).await?;
        opened.set_reader(Arc::clone(&survey.reader));
        Ok(survey.reader)
    }
}
