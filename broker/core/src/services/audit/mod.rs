//! The audit log: who read or changed what (design rule 8).
//!
//! Whoever answers a request or changes something says so with [`AuditService::note`], which only counts in memory
//! ([`tally`]). A task writes what was counted every [`FLUSH_EVERY`], sooner if there is much. A process that is killed
//! therefore loses what was noted within that time at most. While the database is away, the records that wait go on
//! counting; what there is no room for is lost, and a record says how much.

mod changes;
mod expiry;
mod pages;
mod tally;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::{Mutex, MutexGuard, Notify};
use tokio_util::sync::CancellationToken;

use self::tally::{Noted, PARTS, Tally};
pub use self::{
    pages::pages,
    tally::{MAX_STRANGERS, MAX_WAITING},
};
use crate::{
    domain::audit::{Action, Actor, Event, Record},
    ports::{
        audit::{AuditStore, Batch},
        database::DatabaseError,
    },
    telemetry::Telemetry,
};

/// The time between two writes.
pub const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// Records that are written at once.
pub const BATCH: usize = 2_000;
/// Records that are not waited with: there must be room for others while they are written. Fewer are not hurried, as
/// events of a moment later may go into them.
pub const MANY: usize = 20_000;

/// What is recorded, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditPolicy {
    /// Whether anything is recorded. What was before stays.
    pub enabled: bool,
    /// How long records are kept.
    pub retention: Duration,
}

/// Takes events down.
pub struct AuditService {
    store: Arc<dyn AuditStore>,
    telemetry: Arc<Telemetry>,
    tally: Tally,
    enabled: AtomicBool,
    /// In seconds; zero before there is a policy.
    retention: AtomicU64,
    /// There are [`MANY`].
    full: Notify,
    retention_changed: Notify,
    writer: Mutex<Writer>,
    pace: Pace,
    closing: CancellationToken,
}

/// How often something is done.
#[derive(Clone, Copy, Debug)]
struct Pace {
    flush: Duration,
    expire: Duration,
}

/// The way to the database, for one at a time.
struct Writer {
    id: [u8; 16],
    /// Batches that are known to be stored.
    number: i64,
    /// What was taken from the tally and is not known to be stored.
    taken: Vec<Record>,
}

impl AuditService {
    /// A service that records nothing before there is a policy.
    pub fn new(store: Arc<dyn AuditStore>, telemetry: Arc<Telemetry>) -> Self {
        let mut id = [0; 16];
        if getrandom::fill(&mut id).is_err() {
            // As good as none, but unlike that of another start.
            let now = Timestamp::now().as_nanosecond();
            id = (now << 32 | i128::from(std::process::id())).to_le_bytes();
        }
        Self {
            store,
            telemetry,
            tally: Tally::new(),
            enabled: AtomicBool::new(false),
            retention: AtomicU64::new(0),
            full: Notify::new(),
            retention_changed: Notify::new(),
            writer: Mutex::new(Writer {
                id,
                number: 0,
                taken: Vec::new(),
            }),
            pace: Pace {
                flush: FLUSH_EVERY,
                expire: expiry::LOOK_EVERY,
            },
            closing: CancellationToken::new(),
        }
    }

    /// Puts a policy in force. That records are made from now on, or no longer, is recorded.
    pub fn set_policy(&self, policy: AuditPolicy) {
        let retention = policy.retention.as_secs().max(1);
        if self.retention.swap(retention, Ordering::AcqRel) != retention {
            self.retention_changed.notify_one();
        }
        if policy.enabled {
            if !self.enabled.swap(true, Ordering::AcqRel) {
                self.note(&Event::new(Actor::Broker, Action::AuditStarted));
            }
        } else {
            self.end();
        }
    }

    fn end(&self) {
        if self.enabled.load(Ordering::Acquire) {
            self.note(&Event::new(Actor::Broker, Action::AuditEnded));
            self.enabled.store(false, Ordering::Release);
        }
    }

    /// Records an event. Never waits for the database; an event that was seen in this interval already is only counted.
    pub fn note(&self, event: &Event<'_>) {
        if !self.enabled.load(Ordering::Acquire) {
            return;
        }
        match self.tally.note(event, now()) {
            Noted::Again => {}
            Noted::New(waiting) if waiting < MANY => {}
            Noted::New(_) => self.full.notify_one(),
            Noted::Lost => self.telemetry.audit_lost.increment(),
        }
    }

    /// Waits, if the records of many changes need room, until those before are written. Whoever makes many asks this
    /// now and then.
    pub async fn make_room(&self) {
        if self.tally.waiting() >= MAX_WAITING / 2 {
            // What went wrong is told by whoever writes next.
            let _ = self.flush().await;
        }
    }

    /// Records in memory that are not stored yet.
    pub fn waiting(&self) -> usize {
        self.tally.waiting()
    }

    /// Writes and expires records until [`AuditService::close`].
    pub async fn run(&self) {
        tokio::join!(self.keep_writing(), self.keep_expiring());
    }

    async fn keep_writing(&self) {
        let mut failing = false;
        loop {
            let due = async {
                if failing {
                    tokio::time::sleep(self.pace.flush).await;
                } else {
                    // What comes first: the time, or so many.
                    let _ = tokio::time::timeout(self.pace.flush, self.full.notified()).await;
                }
            };
            if self.closing.run_until_cancelled(due).await.is_none() {
                return;
            }
            let flushed = self.flush().await;
            match (&flushed, failing) {
                (Ok(()), true) => tracing::info!("the audit log is written again"),
                (Err(error), false) => {
                    let waiting = self.waiting();
                    tracing::error!(%error, waiting, "the audit log cannot be written; records wait");
                }
                _ => {}
            }
            failing = flushed.is_err();
        }
    }

    /// Writes everything that was noted before.
    ///
    /// # Errors
    /// [`DatabaseError`]; what is not stored then waits for the next time.
    pub async fn flush(&self) -> Result<(), DatabaseError> {
        let mut writer = self.writer.lock().await;
        self.write(&mut writer).await?;
        for part in 0..PARTS {
            let records = self.tally.take(part);
            writer.taken.extend(records);
            if writer.taken.len() >= BATCH {
                self.write_taken(&mut writer).await?;
            }
        }
        writer.taken.extend(self.tally.end_interval());
        self.write_taken(&mut writer).await
    }

    /// Writes what was just taken, in the order of time.
    async fn write_taken(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<(), DatabaseError> {
        writer.taken.sort_by_key(|record| record.last);
        self.write(writer).await
    }

    /// Writes what was taken. Given up in between, it goes on with the same batch.
    async fn write(&self, writer: &mut MutexGuard<'_, Writer>) -> Result<(), DatabaseError> {
        while !writer.taken.is_empty() {
            let length = writer.taken.len().min(BATCH);
            let batch = Batch {
                writer: writer.id,
                number: writer.number + 1,
                records: writer.taken.get(..length).unwrap_or_default(),
            };
            if let Err(error) = self.store.append_records(&batch).await {
                self.telemetry.audit_write_failures.increment();
                return Err(error);
            }
            writer.number += 1;
            writer.taken.drain(..length);
            self.tally.stored(length);
            self.telemetry.audit_written.add(length as u64);
        }
        Ok(())
    }

    /// Ends [`AuditService::run`] and writes what is left; nothing is recorded any more.
    ///
    /// # Errors
    /// [`DatabaseError`]; what is in memory is lost then.
    pub async fn close(&self) -> Result<(), DatabaseError> {
        self.end();
        self.closing.cancel();
        self.flush().await
    }
}

/// To the microsecond, as records are kept.
fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests;
