//! How often a broker with very many members is looked at: while these come one by one, each look takes long, and finds but
//! a few more.

use std::time::{Duration, Instant};

use crate::runtime::remembered::Remembered;

/// With fewer objects in all, every broker is looked at as often as may be: what takes long then is not the looking.
const MANY: usize = 1_000;
/// Looks that take less are as frequent as may be.
const CHEAP: Duration = Duration::from_millis(100);
/// Between two looks, in looks: no more than a third of a core goes into one broker.
const PAUSE: u32 = 2;
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);
/// Brokers that are remembered, at most; when there are so many, each is looked at without a pause.
const MOST: usize = 10_000;

/// When each broker may be looked at again, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Pace(Remembered<(String, String), Instant, MOST>);

impl Pace {
    /// How long to wait with the next look.
    pub(super) fn left(&self, key: &(String, String)) -> Option<Duration> {
        let left = self.0.get(key)?.saturating_duration_since(Instant::now());
        if left.is_zero() {
            self.0.forget(key);
            return None;
        }
        Some(left)
    }

    /// Notes how long a look took that has ended now, where there are so many objects that belong to brokers.
    pub(super) fn note(&self, key: &(String, String), took: Duration, objects: usize) {
        if took < CHEAP || objects < MANY {
            return;
        }
        let pause = took.saturating_mul(PAUSE).min(LONGEST);
        self.0.note(key.clone(), Instant::now() + pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_looks_among_very_many_objects_have_a_pause_after_them() {
        let (pace, key) = (Pace::default(), ("team".to_owned(), "main".to_owned()));
        assert_eq!(pace.left(&key), None);
        pace.note(&key, Duration::from_millis(99), MANY);
        pace.note(&key, Duration::from_secs(9), MANY - 1);
        assert_eq!(pace.left(&key), None);
        pace.note(&key, Duration::from_secs(1), MANY);
        let left = pace.left(&key).unwrap();
        assert!(
            left > Duration::from_secs(1) && left <= Duration::from_secs(2),
            "{left:?}"
        );
        pace.note(&key, Duration::from_mins(1), MANY);
        assert!(pace.left(&key).unwrap() <= LONGEST);
    }
}
