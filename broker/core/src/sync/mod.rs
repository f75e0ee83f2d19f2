//! From a source's documents and refs to versions in the database.
//!
//! [`run`] is one sync of one repository, [`demand`] reads a single package because a client asks for it, [`stage`]
//! turns what a source gave into what is stored, and [`schedule`] decides when. A sync may be ended at any moment: what
//! it stored stands, and the next one goes on from there.

pub mod demand;
pub mod error;
pub mod run;
pub mod schedule;
mod stage;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use quick_cache::sync::Cache;
use tokio::{runtime::Handle, sync::Semaphore};

pub use error::{ReadError, SyncError};
pub use run::SyncReport;

use crate::{
    domain::{
        names::{PackageName, RepositoryName},
        repository::Repository,
    },
    ports::{
        database::Database,
        source::{PackageReader, Source, SourceError, Sources},
    },
    services::{catalog::Catalog, flight::Flights, publish::Publisher},
    telemetry::Telemetry,
};

/// Names that lazy sources said they do not have, at most.
const MAX_ABSENT: usize = 50_000;
/// Packages read on demand at once, over all repositories.
const MAX_ON_DEMAND: usize = 32;

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
    slots: Semaphore,
}

/// A repository with its source, for as long as its settings stand.
pub(crate) struct Opened {
    pub(crate) repository: Arc<Repository>,
    pub(crate) source: Arc<dyn Source>,
    /// The reader of the last survey.
    reader: Mutex<Option<Arc<dyn PackageReader>>>,
    /// Held during a sync and during a survey.
    turn: tokio::sync::Mutex<()>,
}

impl Opened {
    fn reader(&self) -> Option<Arc<dyn PackageReader>> {
        self.reader
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_reader(&self, reader: Arc<dyn PackageReader>) {
        *self.reader.lock().unwrap_or_else(PoisonError::into_inner) = Some(reader);
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
            slots: Semaphore::new(MAX_ON_DEMAND),
        }
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
        });
        open.insert(repository.name.clone(), Arc::clone(&opened));
        Ok(opened)
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
