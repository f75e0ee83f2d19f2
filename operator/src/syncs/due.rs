//! When a repository is to be synced. Pure: no client, no clock.

use std::time::Duration;

use jiff::Timestamp;
use package_broker_crds::Repository;
use sha2::{Digest, Sha256};

use super::past::Past;
use crate::{database::RepositoryState, package_broker::build::sync_request};

/// The first wait after a failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(10);
/// The longest wait after a failure.
const LONGEST_RETRY: Duration = Duration::from_mins(15);

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Now: since it was asked for, or never was done.
    Now,
    /// At a time.
    At(Timestamp),
    /// Not before something changes.
    Never,
}

/// What is known of a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) repository: &'a Repository,
    /// What is declared of it.
    pub(super) state: &'a RepositoryState,
    /// The last sync that has ended.
    pub(super) past: Option<&'a Past>,
    /// Whether one is under way.
    pub(super) is_running: bool,
    /// Whether the database has what a sync has read.
    pub(super) is_stored: bool,
    /// When somebody recorded in the database that it should be synced.
    pub(super) recorded: Option<Timestamp>,
}

/// When the next sync is due.
pub(super) fn due(facts: Facts<'_>) -> Due {
    // The end of one that runs is a change.
    if facts.repository.spec.suspend || facts.is_running {
        return Due::Never;
    }
    let Some(past) = facts.past else {
        return Due::Now;
    };
    let report = &past.report;
    let is_asked = !past.met(sync_request(facts.repository).as_deref())
        || facts.recorded.is_some_and(|asked| asked > past.started);
    if is_asked || !past.is_of(facts.state) {
        return Due::Now;
    }
    let wait = match &report.error {
        None if !facts.is_stored => return Due::Now,
        None => interval(facts.repository),
        Some(_) if report.lasting => interval(facts.repository).min(LONGEST_RETRY),
        Some(_) => backoff(past.failures).min(interval(facts.repository)),
    };
    Due::At(later(past.started, jittered(wait, past.started, facts)))
}

fn interval(repository: &Repository) -> Duration {
    repository.spec.sync.interval.duration()
}

fn backoff(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST_RETRY)
}

/// Up to a tenth longer, so that many repositories of one host do not ask together; the same however often it is asked.
fn jittered(wait: Duration, started: Timestamp, facts: Facts<'_>) -> Duration {
    let metadata = &facts.repository.metadata;
    let mut digest = Sha256::new();
    for part in [&metadata.namespace, &metadata.name] {
        digest.update(part.as_deref().unwrap_or_default());
        digest.update([0]);
    }
    digest.update(started.as_second().to_le_bytes());
    let digest = digest.finalize();
    let part = f64::from(u16::from_le_bytes([digest[0], digest[1]])) / f64::from(u16::MAX) / 10.0;
    wait.saturating_add(wait.mul_f64(part))
}

fn later(time: Timestamp, wait: Duration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}
