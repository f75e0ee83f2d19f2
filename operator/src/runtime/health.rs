//! Whether the operator lives and is ready: watches that get somewhere.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kube::runtime::watcher;

/// A watch that failed, and has not failed again for so long, goes on: on some nothing happens for days that would tell.
/// Longer than the longest pause between two attempts, with the time until one is given up.
const QUIET: Duration = Duration::from_secs(100);

/// What the probes ask.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    watches: Arc<Mutex<Vec<Progress>>>,
    /// How long a watch may fail before the process counts as stuck: a restart costs little, and an API server that is
    /// away longer than this may have left connections that never end. An upgrade of a control plane takes some ten
    /// minutes.
    stuck_after: Duration,
}

/// How a watch goes.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    kind: &'static str,
    began: Arc<AtomicBool>,
    failing: Arc<Mutex<Option<Failing>>>,
}

/// When a watch failed first and last.
#[derive(Clone, Copy, Debug)]
struct Failing {
    first: Instant,
    last: Instant,
}

impl Health {
    pub(crate) fn new(stuck_after: Duration) -> Self {
        Self {
            watches: Arc::default(),
            stuck_after,
        }
    }

    /// A watch that is to be looked at.
    pub(crate) fn watch(&self, kind: &'static str) -> Progress {
        let progress = Progress {
            kind,
            began: Arc::default(),
            failing: Arc::default(),
        };
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.push(progress.clone());
        progress
    }

    /// Why the process should be started again, if so.
    pub(crate) fn is_stuck(&self) -> Option<String> {
        self.is_stuck_at(Instant::now())
    }

    fn is_stuck_at(&self, now: Instant) -> Option<String> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = watches.iter().find(|watch| {
            let failing = watch.failing_at(now);
            failing.is_some_and(|failing| now.duration_since(failing.first) > self.stuck_after)
        });
        stuck.map(|watch| format!("the watch of {} fails", watch.kind))
    }

    /// What is still to come before the process is of use.
    pub(crate) fn is_waiting(&self) -> Option<String> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = watches
            .iter()
            .find(|watch| !watch.began.load(Ordering::Acquire));
        waiting.map(|watch| format!("the watch of {} has not begun", watch.kind))
    }
}

impl Progress {
    /// Something came.
    pub(super) fn made(&self) {
        self.began.store(true, Ordering::Release);
        self.set(None);
    }

    /// It failed, and will be tried again.
    pub(super) fn failed(&self, error: &watcher::Error) {
        if self.failed_at(Instant::now()) {
            tracing::warn!(kind = self.kind, %error, "a watch fails; it is tried again");
        }
    }

    /// Notes a failure. `true` if the one before does not count any more.
    fn failed_at(&self, now: Instant) -> bool {
        let before = self.failing_at(now);
        let first = before.map_or(now, |failing| failing.first);
        self.set(Some(Failing { first, last: now }));
        before.is_none()
    }

    /// Whether it fails, as far as is known then.
    fn failing_at(&self, now: Instant) -> Option<Failing> {
        let failing = *self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        failing.filter(|failing| now.duration_since(failing.last) < QUIET)
    }

    fn set(&self, failing: Option<Failing>) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = failing;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_is_stuck_while_it_goes_on_failing_and_not_when_it_is_quiet_again() {
        let health = Health::new(Duration::from_mins(15));
        let watch = health.watch("Job");
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        assert!(watch.failed_at(at(0)), "the first failure is told");
        for seconds in (60..=960).step_by(60) {
            assert!(!watch.failed_at(at(seconds)), "and no other");
        }
        assert!(health.is_stuck_at(at(900)).is_none());
        let stuck = health.is_stuck_at(at(961)).unwrap();
        assert_eq!(stuck, "the watch of Job fails");
        // Nothing happens on it, and it does not fail either.
        assert!(health.is_stuck_at(at(961 + 100)).is_none());
        assert!(watch.failed_at(at(2_000)), "another failure");
        assert!(health.is_stuck_at(at(2_001)).is_none());
    }

    #[test]
    fn a_watch_on_which_something_comes_fails_no_more() {
        let health = Health::new(Duration::from_secs(1));
        let watch = health.watch("Job");
        assert!(health.is_waiting().is_some());
        let begin = Instant::now();
        watch.failed_at(begin);
        watch.failed_at(begin + Duration::from_secs(2));
        assert!(health.is_stuck_at(begin + Duration::from_secs(3)).is_some());
        watch.made();
        assert!(health.is_stuck_at(begin + Duration::from_secs(3)).is_none());
        assert!(health.is_waiting().is_none());
    }
}
