//! Counts of what the core does, read by whoever exposes metrics. Names follow Prometheus conventions there. And what
//! marks the spans that traces are made of.

use std::{
    future::Future,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crossbeam_utils::CachePadded;
use tracing::{Instrument, Span, field::Empty};

/// The target of spans that are parts of a trace. Nobody looks at them unless traces are sent somewhere: then they cost
/// next to nothing, and no log line shows them. Names and attributes follow OpenTelemetry's semantic conventions; fields
/// that begin with `otel.` are the bridge's own.
pub const TRACE: &str = "package_broker_trace";

/// Makes a call of `server` a part of the trace at hand. What nobody waits for, such as a look for changes, is part of
/// none: it would be a trace of its own, many times a second.
///
/// # Errors
/// Those of the work.
pub async fn calling<T, E>(
    server: &'static str,
    action: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let span = if Span::current().is_none() {
        Span::none()
    } else {
        tracing::info_span!(
            target: TRACE, "call", otel.name = action, otel.kind = "client", peer.service = server,
            otel.status_code = Empty
        )
    };
    let done = work.instrument(span.clone()).await;
    if done.is_err() {
        span.record("otel.status_code", "ERROR");
    }
    done
}

/// How many threads have cells of their own. Others share with one of them.
const STRIPES: usize = 8;

/// Cells that threads write without passing cache lines to and fro: each thread has one of a few for itself, as a rule.
#[derive(Debug, Default)]
pub struct Striped<T>([CachePadded<T>; STRIPES]);

impl<T> Striped<T> {
    /// The cell of the thread that asks.
    pub fn of_this_thread(&self) -> &T {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
        }
        &self.0[NUMBER.with(|number| *number)]
    }

    /// The cells of all threads.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|cell| &**cell)
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(Striped<AtomicU64>);

impl Counter {
    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Adds several.
    pub fn add(&self, amount: u64) {
        let cell = self.0.of_this_thread();
        cell.fetch_add(amount, Ordering::Relaxed);
    }

    /// The number now.
    pub fn get(&self) -> u64 {
        let cells = self.0.all();
        cells.map(|cell| cell.load(Ordering::Relaxed)).sum()
    }
}

/// A number as it was when it was last looked at.
#[derive(Debug, Default)]
pub struct Level(AtomicU64);

impl Level {
    /// The number is this now.
    pub fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    /// The number last set.
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
    /// Archives that another process was fetching already, and that were waited for.
    pub archive_waits: Counter,
    /// Reads and writes of the archive storage that failed.
    pub storage_failures: Counter,
    /// Bytes of the archives fetched or built.
    pub archive_bytes: Counter,
    /// Archives that were refused: truncated, oversize, wrong checksum.
    pub archive_defects: Counter,
    /// Syncs that ended well.
    pub syncs_succeeded: Counter,
    /// Syncs that failed.
    pub syncs_failed: Counter,
    /// Syncs that were not begun, as another process was at them.
    pub syncs_elsewhere: Counter,
    /// Claims to a sync that were lost while it ran: what it did from then on does not count.
    pub claims_lost: Counter,
    /// Declared repositories whose settings or credentials this process cannot read.
    pub repositories_unusable: Level,
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
