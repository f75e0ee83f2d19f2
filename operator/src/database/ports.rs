//! Ports of the core that nobody uses who only declares: an operator reads no source and stores no archive.

use std::sync::Arc;

use package_broker_core::{
    broker::Ports,
    domain::{archive::BlobId, repository::Repository},
    ports::{
        source::{Source, SourceError, Sources},
        storage::{Blob, Staged, Storage, StorageError},
    },
};
use package_broker_drivers::{cache::memory::Memory, database::postgres::Postgres};

/// Memory for counters that nobody counts with, in bytes.
const COUNTERS: usize = 4096;

/// A database, and nothing else. Replicas look at the database for changes several times a second, so none has to be told
/// by another way.
pub(super) fn over(database: Arc<Postgres>) -> Ports {
    Ports {
        database,
        storage: Arc::new(Nothing),
        cache: Arc::new(Memory::new(COUNTERS)),
        sources: Arc::new(Nothing),
    }
}

struct Nothing;

impl Nothing {
    fn refused(action: &'static str) -> StorageError {
        StorageError::new(action, "the operator has no storage")
    }
}

#[async_trait::async_trait]
impl Storage for Nothing {
    async fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        Err(Self::refused("stage a blob"))
    }

    async fn open(&self, _: &BlobId) -> Result<Option<Blob>, StorageError> {
        Err(Self::refused("open a blob"))
    }

    async fn size(&self, _: &BlobId) -> Result<Option<u64>, StorageError> {
        Err(Self::refused("look at a blob"))
    }

    async fn remove(&self, _: &BlobId) -> Result<(), StorageError> {
        Err(Self::refused("remove a blob"))
    }
}

impl Sources for Nothing {
    fn open(&self, _: &Repository) -> Result<Arc<dyn Source>, SourceError> {
        Err(SourceError::Misconfigured {
            problem: "the operator reads no sources".to_owned(),
            fix: "sync with a Job".to_owned(),
        })
    }
}
