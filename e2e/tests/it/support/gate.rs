//! Holds answers of an upstream back, and counts what it was asked.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::PATIENCE;
use super::upstream::Upstream;

/// A gate that answers pass; shut, they wait.
#[derive(Clone)]
pub(crate) struct Gate(Arc<(Mutex<State>, Condvar)>);

struct State {
    open: bool,
    arrived: usize,
}

impl Gate {
    /// Puts an open gate before all answers below `path`.
    pub(crate) fn before(upstream: &Upstream, path: &str) -> Self {
        let state = State {
            open: true,
            arrived: 0,
        };
        let gate = Self(Arc::new((Mutex::new(state), Condvar::new())));
        let passed = gate.clone();
        upstream.disturb(path, move |_, response| {
            passed.pass();
            response
        });
        gate
    }

    /// From now on, answers wait.
    pub(crate) fn shut(&self) {
        self.state().open = false;
    }

    /// Lets answers go, those that wait and those to come.
    pub(crate) fn open(&self) {
        self.state().open = true;
        self.changed().notify_all();
    }

    /// How many answers came to the gate so far.
    pub(crate) fn arrived(&self) -> usize {
        self.state().arrived
    }

    /// Waits until that many answers came to the gate.
    pub(crate) fn wait_for(&self, arrived: usize) {
        let state = self.state();
        let waited = self
            .changed()
            .wait_timeout_while(state, PATIENCE, |state| state.arrived < arrived);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(
            state.arrived >= arrived,
            "only {} of {arrived} requests came",
            state.arrived
        );
    }

    fn pass(&self) {
        let mut state = self.state();
        state.arrived += 1;
        self.changed().notify_all();
        // What waits for longer belongs to a test that has failed.
        drop(
            self.changed()
                .wait_timeout_while(state, PATIENCE, |state| !state.open),
        );
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) -> &Condvar {
        &self.0.1
    }
}
