//! Counters and word of changes within one process, bounded by bytes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use package_broker_core::ports::cache::{Cache, CacheError, Change};
use tokio::sync::broadcast;

/// What a counter costs besides the bytes of its key: its window, two map slots and the maps' spare room.
const OVERHEAD: usize = 192;

/// Changes that a slow receiver may be behind before it is told that it lags.
const CHANGES: usize = 256;

/// How many expired counters a new one clears away: more than one, so that they go faster than they come.
const SWEEP: usize = 2;

/// The cache of a broker that runs alone.
#[derive(Debug)]
pub struct Memory {
    counters: Mutex<Counters>,
    changes: broadcast::Sender<Change>,
}

impl Memory {
    /// A cache whose counters take at most `max_bytes`, keys and bookkeeping included. A key that does not fit at
    /// all is not remembered: each of its events counts as the first.
    pub fn new(max_bytes: usize) -> Self {
        let counters = Counters {
            max_bytes,
            bytes: 0,
            opened: 0,
            by_key: HashMap::new(),
            by_age: BTreeMap::new(),
        };
        Self {
            counters: Mutex::new(counters),
            changes: broadcast::Sender::new(CHANGES),
        }
    }

    /// Bytes the counters take now.
    pub fn bytes(&self) -> usize {
        self.counters
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .bytes
    }
}

#[async_trait]
impl Cache for Memory {
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counters.count(key, window, Instant::now()))
    }

    async fn announce(&self, change: Change) -> Result<(), CacheError> {
        // An error says only that nobody listens.
        let _listeners = self.changes.send(change);
        Ok(())
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

#[derive(Debug)]
struct Counters {
    max_bytes: usize,
    bytes: usize,
    /// Windows opened so far: the age of the next one.
    opened: u64,
    by_key: HashMap<Arc<str>, Window>,
    /// Every key in `by_key` by its window's age.
    by_age: BTreeMap<u64, Arc<str>>,
}

#[derive(Debug)]
struct Window {
    age: u64,
    ends: Instant,
    events: u64,
}

impl Counters {
    fn count(&mut self, key: &str, length: Duration, now: Instant) -> u64 {
        if let Some(window) = self.by_key.get_mut(key).filter(|window| now < window.ends) {
            window.events += 1;
            return window.events;
        }
        if let Some(expired) = self.by_key.get(key).map(|window| window.age) {
            self.forget(expired);
        }
        self.sweep(now);
        self.open(key, now + length);
        1
    }

    /// Opens a key's window, at the cost of the oldest ones if there is no room.
    fn open(&mut self, key: &str, ends: Instant) {
        let cost = cost(key);
        if cost > self.max_bytes {
            return;
        }
        while self.bytes + cost > self.max_bytes
            && let Some(oldest) = self.oldest()
        {
            self.forget(oldest);
        }
        let key: Arc<str> = key.into();
        self.by_age.insert(self.opened, Arc::clone(&key));
        self.by_key.insert(
            key,
            Window {
                age: self.opened,
                ends,
                events: 1,
            },
        );
        self.opened += 1;
        self.bytes += cost;
    }

    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEEP {
            let expired = self.by_age.first_key_value().filter(|(_, key)| {
                self.by_key
                    .get(*key)
                    .is_none_or(|window| window.ends <= now)
            });
            let Some((&age, _)) = expired else { return };
            self.forget(age);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.by_age.first_key_value().map(|(&age, _)| age)
    }

    fn forget(&mut self, age: u64) {
        if let Some(key) = self.by_age.remove(&age) {
            self.by_key.remove(&key);
            self.bytes -= cost(&key);
        }
    }
}

fn cost(key: &str) -> usize {
    key.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn counters(max_bytes: usize) -> Counters {
        Memory::new(max_bytes).counters.into_inner().unwrap()
    }

    #[test]
    fn a_window_opens_with_its_first_event_and_ends_on_time() {
        let mut counters = counters(1 << 20);
        let start = Instant::now();
        assert_eq!(counters.count("a", MINUTE, start), 1);
        assert_eq!(counters.count("a", MINUTE, start + MINUTE / 2), 2);
        assert_eq!(counters.count("b", MINUTE, start + MINUTE / 2), 1);
        assert_eq!(counters.count("a", MINUTE, start + MINUTE), 1);
        assert_eq!(counters.count("b", MINUTE, start + MINUTE), 2);
    }

    #[test]
    fn the_oldest_window_goes_when_there_is_no_room() {
        let mut counters = counters(2 * cost("a"));
        let now = Instant::now();
        for key in ["a", "b", "a", "c"] {
            counters.count(key, MINUTE, now);
        }
        assert_eq!(counters.count("b", MINUTE, now), 2);
        assert_eq!(counters.count("a", MINUTE, now), 1);
        assert_eq!(counters.bytes, 2 * cost("a"));
    }

    #[test]
    fn expired_windows_go_as_new_ones_come() {
        let mut counters = counters(1 << 20);
        let start = Instant::now();
        for number in 0..1000 {
            counters.count(&format!("old-{number}"), MINUTE, start);
        }
        for number in 0..600 {
            counters.count(&format!("new-{number}"), MINUTE, start + MINUTE);
        }
        assert_eq!(counters.by_key.len(), 600);
        assert_eq!(counters.by_age.len(), 600);
        assert_eq!(
            counters.bytes,
            counters.by_key.keys().map(|key| cost(key)).sum::<usize>()
        );
    }

    #[test]
    fn a_key_larger_than_the_bound_is_not_kept() {
        let mut counters = counters(OVERHEAD);
        let now = Instant::now();
        assert_eq!(
            (
                counters.count("long", MINUTE, now),
                counters.count("long", MINUTE, now)
            ),
            (1, 1)
        );
        assert_eq!(counters.bytes, 0);
    }
}
