//! Storage of archives by content.

use std::{fmt, time::Duration};

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

    /// The size of a blob in bytes; `None` if there is no such blob. None of its bytes are read.
    async fn size(&self, id: &BlobId) -> Result<Option<u64>, StorageError>;

    /// Removes a blob. Removing one that is not there is no error.
    async fn remove(&self, id: &BlobId) -> Result<(), StorageError>;

    /// The links it can give to its blobs; `None` if clients cannot read from it themselves. The same at every call.
    fn links(&self) -> Option<&dyn Links> {
        None
    }
}

/// Storage that clients can read from themselves.
#[async_trait]
pub trait Links: Send + Sync {
    /// A link for whoever has it to `what` of a blob. It is good for the whole seconds in `time`: one at least, and seven
    /// days at most. Whether the blob is there is not looked at.
    async fn link(&self, id: &BlobId, what: Linked, time: Duration) -> Result<Link, StorageError>;
}

/// What a link is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linked {
    /// The blob's bytes, by GET.
    Bytes,
    /// Whether it is there, and its size, by HEAD.
    Head,
}

/// A URL that stands for a permission: a secret for as long as it is good. Not shown in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// From its URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The URL, for the one who asked and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Link(…)")
    }
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
    pub fn new(action: &'static str, problem: impl fmt::Display) -> Self {
        Self {
            action,
            problem: problem.to_string(),
        }
    }
}
