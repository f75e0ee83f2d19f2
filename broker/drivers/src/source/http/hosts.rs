//! Politeness: how much is asked of a host at once, and when it wants to be left alone.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use package_broker_core::ports::source::SourceError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};
use url::Url;

use super::failure::LONGEST_WAIT;

/// So many hosts are kept in mind; beyond, those that nobody asks are forgotten.
const MAX_HOSTS: usize = 1024;

/// The gates of all hosts.
pub(super) struct Hosts {
    per_host: usize,
    gates: Mutex<HashMap<String, Arc<Gate>>>,
}

/// What is asked for. Each lane has as many slots of its own, so that short requests never wait for long downloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// Metadata, and conversations with git.
    Requests,
    /// Archives, from the request to the last byte.
    Archives,
}

/// The host asked to be left alone, for longer than anybody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held(Duration);

/// Leave to ask a host, until it is dropped.
pub(in crate::source) struct Permit {
    gate: Arc<Gate>,
    _slot: Option<OwnedSemaphorePermit>,
}

struct Gate {
    requests: Arc<Semaphore>,
    archives: Arc<Semaphore>,
    held_until: Mutex<Option<Instant>>,
}

impl Held {
    /// The error for who wanted to ask `what`.
    pub(super) fn explain(self, what: String) -> SourceError {
        let seconds = self.0.as_millis().div_ceil(1000);
        SourceError::Unavailable {
            what,
            problem: format!("the host asked to be left alone for {seconds} more seconds"),
            retry_after: Some(self.0),
        }
    }
}

impl Hosts {
    /// At most `per_host` permits in each lane of a host at a time.
    pub(super) fn new(per_host: usize) -> Self {
        Self {
            per_host: per_host.max(1),
            gates: Mutex::default(),
        }
    }

    /// Waits for leave to ask the host of `url`.
    ///
    /// # Errors
    /// As [`Hosts::enter_at`].
    pub(super) async fn enter(&self, url: &Url, lane: Lane) -> Result<Permit, Held> {
        let host = url.host_str().unwrap_or_default();
        self.enter_at(host, url.port_or_known_default().unwrap_or(0), lane)
            .await
    }

    /// Waits for leave to ask a host at a port.
    ///
    /// # Errors
    /// [`Held`], without waiting, while the host wants to be left alone for longer than [`LONGEST_WAIT`].
    pub(super) async fn enter_at(&self, host: &str, port: u16, lane: Lane) -> Result<Permit, Held> {
        let gate = self.gate(format!("{host}:{port}"));
        // Before the queue, so that nobody queues in vain; and after it, as the host may have spoken meanwhile.
        gate.wait_out().await?;
        // The semaphores are never closed; without a slot the request would only be less polite.
        let slot = Arc::clone(gate.slots(lane)).acquire_owned().await.ok();
        gate.wait_out().await?;
        Ok(Permit { gate, _slot: slot })
    }

    fn gate(&self, key: String) -> Arc<Gate> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        if gates.len() >= MAX_HOSTS && !gates.contains_key(&key) {
            gates.retain(|_, gate| Arc::strong_count(gate) > 1 || gate.left().is_some());
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
            requests: Arc::new(Semaphore::new(slots)),
            archives: Arc::new(Semaphore::new(slots)),
            held_until: Mutex::new(None),
        }
    }

    fn slots(&self, lane: Lane) -> &Arc<Semaphore> {
        match lane {
            Lane::Requests => &self.requests,
            Lane::Archives => &self.archives,
        }
    }

    /// When the host may be asked again, if that lies ahead, and how long that is.
    fn left(&self) -> Option<(Instant, Duration)> {
        let held = *self
            .held_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let until = held?;
        let left = until.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some((until, left))
    }

    /// Waits while the host wants to be left alone, unless that takes too long.
    async fn wait_out(&self) -> Result<(), Held> {
        while let Some((until, left)) = self.left() {
            if left > LONGEST_WAIT {
                return Err(Held(left));
            }
            sleep_until(until).await;
        }
        Ok(())
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
