//! What replicas share besides the database: counters, buckets of requests, and word of changes.

use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;
use tokio::sync::broadcast;

use crate::domain::{
    names::PackageName,
    quota::{Quota, Taken},
};

/// A place for short-lived, shared state. Losing all of it loses no data, only memory of recent events; when it does
/// not answer, the broker goes on without (design rule 7).
#[async_trait]
pub trait Cache: Send + Sync {
    /// Counts one event under `key` and returns how many there were in the present window, this one included.
    /// The first event of a key opens its window; `window` is at most an hour. Memory is bounded: under pressure the
    /// oldest keys may be forgotten.
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError>;

    /// Takes one request out of the bucket of `key`, which all replicas share: however many take at once, they get no
    /// more than it holds. The clock is the cache's. A bucket that was never taken from is full, and so is one that was
    /// forgotten: memory is bounded, and under pressure buckets that were not used for long may be. Counters of the same
    /// key are apart. A bucket may be taken from with another quota than before: what was taken stays taken, as a share
    /// of the hour.
    async fn take(&self, key: &str, quota: Quota) -> Result<Taken, CacheError>;

    /// Tells every replica, this one included, that something changed. Best effort: messages may be lost.
    async fn announce(&self, change: Change) -> Result<(), CacheError>;

    /// The changes announced from now on. A receiver that lags learns so from the channel and MUST then take
    /// everything for changed.
    fn changes(&self) -> broadcast::Receiver<Change>;

    /// Whether it is thought to answer, without asking it.
    fn is_up(&self) -> bool;
}

/// What changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// These packages have new documents, or none any more.
    Packages(Vec<PackageName>),
    /// Repositories, tokens or settings: read everything again.
    Everything,
}

/// The cache did not answer.
#[derive(Debug, Error)]
#[error("the cache does not answer: {0}")]
pub struct CacheError(pub String);
