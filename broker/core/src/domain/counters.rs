//! Counters of events in the memory of one process.

use std::time::{Duration, Instant};

use super::bounded::Bounded;

/// Events by key in windows of time, bounded by bytes: under pressure the keys that were opened first are forgotten.
#[derive(Debug)]
pub struct Counters(Bounded<u64>);

impl Counters {
    /// Nothing is counted yet; it will take at most `max_bytes`. A key that does not fit at all is not remembered: each
    /// of its events counts as the first.
    pub fn new(max_bytes: usize) -> Self {
        Self(Bounded::new(max_bytes))
    }

    /// Bytes they take now.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Counts one event under `key` and returns how many there were in the present window, which the first one opened.
    pub fn count(&mut self, key: &str, window: Duration, now: Instant) -> u64 {
        if let Some((events, _)) = self.0.get(key, now) {
            *events += 1;
            return *events;
        }
        self.0.put(key, 1, now + window, now);
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_with_its_first_event_and_ends_on_time() {
        const MINUTE: Duration = Duration::from_mins(1);
        let mut counters = Counters::new(1 << 20);
        let start = Instant::now();
        assert_eq!(counters.count("a", MINUTE, start), 1);
        assert_eq!(counters.count("a", MINUTE, start + MINUTE / 2), 2);
        assert_eq!(counters.count("b", MINUTE, start + MINUTE / 2), 1);
        assert_eq!(counters.count("a", MINUTE, start + MINUTE), 1);
        assert_eq!(counters.count("b", MINUTE, start + MINUTE), 2);
    }
}
