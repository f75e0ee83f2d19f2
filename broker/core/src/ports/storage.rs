//! Storage of archives by content.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use thiserror::Error;

use crate::domain::archive::BlobId;

/// Keeps blobs under the SHA-256 of their bytes. A blob is there whole or not at all, whatever happens on the way.
#[async_trait]
pub trait Storage: Send + Sync {
    /// Opens a place to write a new blob to. Dropped without [`Staged::commit`], nothing of it remains, at the
    /// latest after the next start.
    async fn stage(&self) -> Result<Box<dyn Staged>, StorageError>;

    /// Opens a blob for reading; `None` if there is no such blob.
    async fn open(&self, id: &BlobId) -> Result<Option<Blob>, StorageError>;

    /// Removes a blob. Removing one that is not there is no error.
    async fn remove(&self, id: &BlobId) -> Result<(), StorageError>;
}

/// A blob being written.
#[async_trait]
pub trait Staged: Send {
    /// Appends bytes.
    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError>;

    /// Makes the bytes a blob, durably: after `Ok` it survives a loss of power. `id` MUST be the SHA-256 of what was
    /// written. Committing a blob that is already there is no error.
    async fn commit(self: Box<Self>, id: &BlobId) -> Result<(), StorageError>;
}

/// A blob being read.
pub struct Blob {
    /// Its size in bytes.
    pub size: u64,
    /// Its bytes, in order; at most 1 MiB of them in memory at a time.
    pub body: BoxStream<'static, Result<Bytes, StorageError>>,
}

/// The storage did not do what was asked.
#[derive(Debug, Error)]
#[error("the archive storage failed to {action}: {problem}")]
pub struct StorageError {
    /// What was being done, for instance `write a file`.
    pub action: &'static str,
    /// The driver's account of it.
    pub problem: String,
}

impl StorageError {
    /// Wraps a driver's error.
    pub fn new(action: &'static str, problem: impl std::fmt::Display) -> Self {
        Self {
            action,
            problem: problem.to_string(),
        }
    }
}
