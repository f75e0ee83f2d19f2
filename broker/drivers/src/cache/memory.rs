//! Counters, buckets and word of changes within one process, bounded by bytes.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use package_broker_core::{
    domain::{
        buckets::Buckets,
        counters::Counters,
        quota::{Quota, Taken},
    },
    ports::cache::{Cache, CacheError, Change},
};
use tokio::sync::broadcast;

/// Changes that a slow receiver may be behind before it is told that it lags.
const CHANGES: usize = 256;

/// The cache of a broker that runs alone.
#[derive(Debug)]
pub struct Memory {
    counters: Mutex<Counters>,
    buckets: Mutex<Buckets>,
    changes: broadcast::Sender<Change>,
}

impl Memory {
    /// A cache whose counters and buckets take at most `max_bytes`, half of it each, keys and bookkeeping included. A
    /// key that does not fit at all is not remembered: each of its events counts as the first.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            counters: Mutex::new(Counters::new(max_bytes / 2)),
            buckets: Mutex::new(Buckets::new(max_bytes / 2)),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    /// Bytes the counters and buckets take now.
    pub fn bytes(&self) -> usize {
        lock(&self.counters).bytes() + lock(&self.buckets).bytes()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Cache for Memory {
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        Ok(lock(&self.counters).count(key, window, Instant::now()))
    }

    async fn take(&self, key: &str, quota: Quota) -> Result<Taken, CacheError> {
        Ok(lock(&self.buckets).take(key, quota, Instant::now()))
    }

    async fn announce(&self, change: Change) -> Result<(), CacheError> {
        // An error says only that nobody listens.
        let _listeners = self.changes.send(change);
        Ok(())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    fn is_up(&self) -> bool {
        true
    }
}
