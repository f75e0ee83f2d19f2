//! When a repository is to be synced again.
//!
//! All of it is decided from what is given: two that know the same of the last sync, a process and an operator for
//! instance, come to the same time, however often they ask.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use super::{names::RepositoryName, schedule::Schedule};

/// The first wait after a failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
const LONGEST_RETRY: Duration = Duration::from_mins(15);
/// The longest wait because a source asks for it.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);
/// How much later than its schedule says a sync begins, in seconds, at most.
const LONGEST_DELAY: i64 = 60;

/// What says when a repository is synced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cadence {
    /// So long after the end of the sync before.
    Every(Duration),
    /// At these times.
    At(Schedule),
}

/// How the last sync ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Well.
    Succeeded,
    /// With an error.
    Failed {
        /// How often it has failed since it last succeeded, this time included.
        in_a_row: u32,
        /// Whether only new settings can help.
        lasting: bool,
        /// How long the source wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Cadence {
    /// When a repository is to be synced after a sync that ended then and so. That is always later than the end.
    ///
    /// After a success: its interval and up to a tenth of it more; or the first time of its schedule that has not come
    /// yet, and then a delay that is always the same for the same repository, up to a tenth of the time until the
    /// schedule's next time and at most a minute. A time that comes during a sync is passed over. After a failure, earlier:
    /// 5 seconds, 10, 20 and so on up to 15 minutes; but not before the source wants it.
    pub fn next(&self, name: &RepositoryName, ended: Timestamp, outcome: Outcome) -> Timestamp {
        let regular = match self {
            Self::Every(interval) => later(ended, lengthened(*interval, name, ended)),
            Self::At(schedule) => due(schedule, name, ended),
        };
        match outcome {
            Outcome::Succeeded => regular,
            Outcome::Failed {
                in_a_row,
                lasting,
                retry_after,
            } => {
                let pause = if lasting {
                    LONGEST_RETRY
                } else {
                    backoff(in_a_row)
                };
                let retry = later(ended, lengthened(pause, name, ended));
                let asked = retry_after.unwrap_or_default().min(LONGEST_PAUSE);
                let asked = later(ended, lengthened(asked, name, ended));
                retry.min(regular).max(asked)
            }
        }
    }

    /// The time between two syncs, if it is always the same.
    pub fn interval(&self) -> Option<Duration> {
        match self {
            Self::Every(interval) => Some(*interval),
            Self::At(_) => None,
        }
    }

    /// The time between two syncs at about that time, without what comes on top.
    pub fn period(&self, now: Timestamp) -> Duration {
        match self {
            Self::Every(interval) => *interval,
            Self::At(schedule) => {
                let next = schedule.next(now);
                schedule.next(next).duration_since(next).unsigned_abs()
            }
        }
    }
}

/// The first time of the schedule, with the repository's delay, that is after this one.
fn due(schedule: &Schedule, name: &RepositoryName, after: Timestamp) -> Timestamp {
    // One that has come already may still be to be delayed.
    let longest = SignedDuration::from_secs(LONGEST_DELAY);
    let mut time = schedule.next(after.saturating_sub(longest).unwrap_or(Timestamp::MIN));
    loop {
        let following = schedule.next(time);
        let gap = following.duration_since(time).as_secs();
        // Whole seconds, so that a time of a sync that was kept without fractions is not before it.
        let delay = share(
            (gap / 10).min(LONGEST_DELAY).unsigned_abs(),
            &[name.as_str().as_bytes()],
        );
        let due = later(time, Duration::from_secs(delay));
        if due > after || following == Timestamp::MAX {
            return due;
        }
        time = following;
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST_RETRY)
}

/// Up to a tenth longer, so that many repositories of one host do not ask together.
fn lengthened(pause: Duration, name: &RepositoryName, ended: Timestamp) -> Duration {
    let tenth = u64::try_from(pause.as_millis() / 10).unwrap_or(u64::MAX);
    let ended = ended.as_second().to_be_bytes();
    let more = share(tenth, &[name.as_str().as_bytes(), &ended]);
    pause.saturating_add(Duration::from_millis(more))
}

/// Between nothing and all of it, as these bytes decide.
fn share(all: u64, parts: &[&[u8]]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
        hash.update([0]);
    }
    let hash = hash.finalize();
    let number = hash
        .first_chunk()
        .map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let share = ((u128::from(all) + 1) * u128::from(number)) >> 32;
    u64::try_from(share).unwrap_or(all)
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
