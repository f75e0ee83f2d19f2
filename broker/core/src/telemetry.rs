//! Counts of what the core does, read by whoever exposes metrics. Names follow Prometheus conventions there.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds several.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub struct Telemetry {
    /// Documents answered from memory.
    pub document_hits: Counter,
    /// Documents read from the database.
    pub document_misses: Counter,
    /// Names asked of a lazy source.
    pub lazy_reads: Counter,
    /// Archives answered from storage.
    pub archive_hits: Counter,
    /// Of these, archives answered with a link to storage.
    pub archive_links: Counter,
    /// Archives fetched or built.
    pub archive_fetches: Counter,
    /// Bytes of the archives fetched or built.
    pub archive_bytes: Counter,
    /// Archives that were refused: truncated, oversize, wrong checksum.
    pub archive_defects: Counter,
    /// Syncs that ended well.
    pub syncs_succeeded: Counter,
    /// Syncs that failed.
    pub syncs_failed: Counter,
    /// Packages read from sources by syncs.
    pub packages_read: Counter,
    /// Packages written by syncs.
    pub packages_written: Counter,
    /// Requests with a token that is unknown, expired or malformed.
    pub auth_failures: Counter,
    /// Requests refused because a token or an address had made too many.
    pub over_limit: Counter,
    /// Requests whose limit was kept in this process alone, as the cache did not answer.
    pub limits_alone: Counter,
    /// Records of the audit log that were stored.
    pub audit_written: Counter,
    /// Events that there was no room to record.
    pub audit_lost: Counter,
    /// Writes of the audit log that failed.
    pub audit_write_failures: Counter,
}
