//! From a source's documents and refs to versions in the database.
//!
//! [`run`] is one sync of one repository ([`plan`] decides what is read, [`read`] reads it), [`demand`] reads a single package because a client asks for it, [`stage`]
//! turns what a source gave into what is stored, and [`schedule`] decides when. A sync may be ended at any moment: what
//! it stored stands, and the next one goes on from there.

pub mod demand;
pub mod error;
pub(crate) mod fingerprint;
mod gate;
mod plan;
mod read;
pub mod run;
pub mod schedule;
mod stage;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use quick_cache::sync::Cache;
use serde::Serialize;
use tokio::{runtime::Handle, sync::Semaphore};

use self::demand::Demands;
pub use error::{ReadError, SyncError};
pub use run::SyncReport;

use crate::{
    domain::{
        names::{PackageName, RepositoryName},
        repository::Repository,
    },
    ports::{
        database::Database,
        source::{PackageReader, Source, SourceError, Sources, Survey},
    },
    services::{catalog::Catalog, flight::Flights, publish::Publisher},
    telemetry::Telemetry,
};

/// Names that lazy sources said they do not have, at most.
const MAX_ABSENT: usize = 50_000;
/// Packages of one repository that are read on demand at once.
const MAX_ON_DEMAND: usize = 16;
/// Archives of one repository that are fetched or built at once.
const MAX_ARCHIVES: usize = 8;

/// Reads sources and hands what they have to the publisher.
pub struct SyncService {
    sources: Arc<dyn Sources>,
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    publisher: Arc<Publisher>,
    telemetry: Arc<Telemetry>,
    open: Mutex<HashMap<RepositoryName, Arc<Opened>>>,
    on_demand: Flights<(RepositoryName, PackageName), Result<bool, ReadError>>,
    absent: Cache<(RepositoryName, PackageName), Instant>,
    attempts: Mutex<HashMap<RepositoryName, Attempt>>,
}

/// How the last sync of a repository in this process went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Attempt {
    /// When it began.
    pub started: jiff::Timestamp,
    /// How long it took.
    pub seconds: f64,
    /// What went wrong, if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether only a change of settings can help.
    pub lasting: bool,
    /// What the source was, in its own words, if it succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// A repository with its source, for as long as its settings stand.
pub(crate) struct Opened {
    pub(crate) repository: Arc<Repository>,
    pub(crate) source: Arc<dyn Source>,
    /// The reader of the last survey.
    reader: Mutex<Option<Arc<dyn PackageReader>>>,
    /// Held during a whole sync.
    turn: tokio::sync::Mutex<()>,
    /// Held during a survey.
    surveying: tokio::sync::Mutex<()>,
    on_demand: Demands,
    /// Turns for fetching archives: a slow source takes none of the others'.
    pub(crate) archives: Semaphore,
}

impl Opened {
    fn reader(&self) -> Option<Arc<dyn PackageReader>> {
        self.reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_reader(&self, reader: Option<Arc<dyn PackageReader>>) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = reader;
    }

    /// Lets go of what the last survey keeps in memory.
    fn forget_reader(&self) {
        self.set_reader(None);
    }

    /// Looks at the source, and keeps the reader. One at a time does so.
    async fn survey(&self, state: Option<&str>) -> Result<Survey, SourceError> {
        let _turn = self.surveying.lock().await;
        self.survey_now(state).await
    }

    /// The reader of the last survey; looks at the source if there is none, once however many ask.
    async fn first_survey(
        &self,
        state: Option<&str>,
    ) -> Result<Arc<dyn PackageReader>, SourceError> {
        let _turn = self.surveying.lock().await;
        match self.reader() {
            Some(reader) => Ok(reader),
            None => Ok(self.survey_now(state).await?.reader),
        }
    }

    async fn survey_now(&self, state: Option<&str>) -> Result<Survey, SourceError> {
        let survey = self.source.survey(state).await?;
        self.set_reader(Some(Arc::clone(&survey.reader)));
        Ok(survey)
    }
}

impl SyncService {
    /// A service that reads through `sources`, on the runtime of the caller.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(
        sources: Arc<dyn Sources>,
        database: Arc<dyn Database>,
        catalog: Arc<Catalog>,
        publisher: Arc<Publisher>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            sources,
            database,
            catalog,
            publisher,
            telemetry,
            open: Mutex::default(),
            on_demand: Flights::on(Handle::current()),
            absent: Cache::new(MAX_ABSENT),
            attempts: Mutex::default(),
        }
    }

    /// How the last sync of each repository of the installation went that was synced in this process under the settings
    /// in force.
    pub fn attempts(&self) -> HashMap<RepositoryName, Attempt> {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        let installation = self.catalog.installation();
        attempts.retain(|name, _| installation.repository(name).is_some());
        attempts.clone()
    }

    fn note_attempt(&self, repository: &Arc<Repository>, attempt: Attempt) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        // One that began under other settings says nothing of these.
        let installation = self.catalog.installation();
        let now = installation.repository(&repository.name);
        if now.is_some_and(|now| Arc::ptr_eq(now, repository)) {
            attempts.insert(repository.name.clone(), attempt);
        }
    }

    /// What was noted of a repository before its settings changed does not count any more.
    fn forget_attempt(&self, name: &RepositoryName) {
        let mut attempts = self.attempts.lock().unwrap_or_else(PoisonError::into_inner);
        attempts.remove(name);
    }

    /// The source of a repository, opened once and kept while the repository's settings stand.
    pub(crate) fn opened(&self, repository: &Arc<Repository>) -> Result<Arc<Opened>, SourceError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(opened) = open.get(&repository.name)
            && Arc::ptr_eq(&opened.repository, repository)
        {
            return Ok(Arc::clone(opened));
        }
        let opened = Arc::new(Opened {
            repository: Arc::clone(repository),
            source: self.sources.open(repository)?,
            reader: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            surveying: tokio::sync::Mutex::default(),
            on_demand: Demands::new(MAX_ON_DEMAND),
            archives: Semaphore::new(MAX_ARCHIVES),
        });
        open.insert(repository.name.clone(), Arc::clone(&opened));
        Ok(opened)
    }

    /// Whether a sync of a repository is running in this process.
    pub(crate) fn is_syncing(&self, repository: &Arc<Repository>) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let opened = open.get(&repository.name);
        opened.is_some_and(|opened| opened.turn.try_lock().is_err())
    }

    /// Forgets every opened source and what lazy ones said they do not have, after settings changed. Syncs that are
    /// running end with the source they began with.
    pub fn forget_opened(&self) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
        self.absent.clear();
    }
}
