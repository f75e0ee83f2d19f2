//! Politeness: how much is asked of a host at once, and when it wants to be left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use url::Url;

/// So many hosts are kept in mind; beyond, those that nobody asks are forgotten.
const MAX_HOSTS: usize = 1024;

/// The gates of all hosts.
pub(super) struct Hosts {
    per_host: usize,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

/// Leave to ask a host, until it is dropped.
pub(super) struct Permit {
    gate: Arc<Gate>,
    _slot: Option<OwnedSemaphorePermit>,
}

struct Gate {
    slots: Arc<Semaphore>,
    held_until: Mutex<Option<Instant>>,
}

impl Hosts {
    /// At most `per_host` permits for one host at a time.
    pub(super) fn new(per_host: usize) -> Self {
        Self {
            per_host: per_host.max(1),
            gates: Mutex::default(),
        }
    }

    /// Waits for leave to ask the host of `url`.
    pub(super) async fn enter(&self, url: &Url) -> Permit {
        let gate = self.gate(url);
        // The semaphore is never closed; without a slot the request would only be less polite.
        let slot = Arc::clone(&gate.slots).acquire_owned().await.ok();
        while let Some(until) = gate.held_until() {
            sleep_until(until).await;
        }
        Permit { gate, _slot: slot }
    }

    fn gate(&self, url: &Url) -> Arc<Gate> {
        let key = format!(
            "{}:{}",
            url.host_str().unwrap_or_default(),
            url.port_or_known_default().unwrap_or(0)
        );
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= MAX_HOSTS && !gates.contains_key(&key) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.held_until().is_some());
        }
        Arc::clone(
            gates
                .entry(key)
                .or_insert_with(|| Arc::new(Gate::new(self.per_host))),
        )
    }
}

impl Gate {
    fn new(slots: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(slots)),
            held_until: Mutex::new(None),
        }
    }

    /// When the host may be asked again, if that lies ahead.
    fn held_until(&self) -> Option<Instant> {
        let held = *self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        held.filter(|until| *until > Instant::now())
    }
}

impl Permit {
    /// Holds back every new request to this host for a while.
    pub(super) fn hold_back(&self, pause: Duration) {
        let until = Instant::now() + pause;
        let mut held = self
            .gate
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *held = Some(held.map_or(until, |earlier| earlier.max(until)));
    }
}
