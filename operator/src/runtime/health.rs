//! Whether the operator lives and is ready: watches that get somewhere.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use kube::runtime::watcher;

/// How long a watch may fail before the process counts as stuck: a restart costs little, and an API server that is away
/// longer than this may have left connections that never end. An upgrade of a control plane takes some ten minutes.
const STUCK_AFTER: Duration = Duration::from_mins(15);

/// What the probes ask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Health {
    watches: Arc<Mutex<Vec<Progress>>>,
}

/// How a watch goes.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    kind: &'static str,
    began: Arc<AtomicBool>,
    failing_since: Arc<Mutex<Option<Instant>>>,
}

impl Health {
    /// A watch that is to be looked at.
    pub(crate) fn watch(&self, kind: &'static str) -> Progress {
        let progress = Progress {
            kind,
            began: Arc::default(),
            failing_since: Arc::default(),
        };
        let mut watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        watches.push(progress.clone());
        progress
    }

    /// Why the process should be started again, if so.
    pub(crate) fn is_stuck(&self) -> Option<String> {
        let watches = self.watches.lock().unwrap_or_else(PoisonError::into_inner);
        let stuck = watches.iter().find(|watch| {
            let since = watch.failing_since();
            since.is_some_and(|since| since.elapsed() > STUCK_AFTER)
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
        if self.failing_since().is_none() {
            self.set(Some(Instant::now()));
            tracing::warn!(kind = self.kind, %error, "a watch fails; it is tried again");
        }
    }

    fn failing_since(&self) -> Option<Instant> {
        *self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, since: Option<Instant>) {
        *self
            .failing_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = since;
    }
}
