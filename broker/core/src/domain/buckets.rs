//! Buckets of requests in the memory of one process.

use std::time::{Duration, Instant};

use super::{
    bounded::Bounded,
    quota::{Quota, Taken},
};

/// Buckets by key, bounded by bytes: under pressure those that were not used for the longest time are forgotten, which
/// makes them full.
#[derive(Debug)]
pub struct Buckets(Bounded<()>);

impl Buckets {
    /// No buckets yet; they will take at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Self(Bounded::new(max_bytes))
    }

    /// Bytes they take now.
    pub fn bytes(&self) -> usize {
        self.0.bytes()
    }

    /// Takes one request out of the bucket of `key`.
    pub fn take(&mut self, key: &str, quota: Quota, now: Instant) -> Taken {
        let full_at = self
            .0
            .get(key, now)
            .map_or(now, |(&mut (), full_at)| full_at);
        let debt = full_at.saturating_duration_since(now).as_micros();
        let (allowed, debt) = quota.take(u64::try_from(debt).unwrap_or(u64::MAX));
        if allowed {
            self.0.put(key, (), now + Duration::from_micros(debt), now);
        }
        quota.taken(allowed, debt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_emptied_and_refilled_evenly() {
        let (mut buckets, quota) = (Buckets::new(1 << 20), Quota::per_hour(60));
        let start = Instant::now();
        for remaining in (0..60).rev() {
            assert_eq!(buckets.take("a", quota, start).remaining, remaining);
        }
        let refused = buckets.take("a", quota, start);
        assert!(!refused.allowed);
        assert!(buckets.take("b", quota, start).allowed);
        assert!(
            !buckets
                .take("a", quota, start + refused.retry_after / 2)
                .allowed
        );
        assert!(
            buckets
                .take("a", quota, start + refused.retry_after)
                .allowed
        );
        let later = start + Duration::from_hours(2);
        assert_eq!(buckets.take("a", quota, later).remaining, 59);
    }

    #[test]
    fn a_bucket_in_use_is_not_forgotten() {
        let (mut buckets, quota) = (Buckets::new(10_000), Quota::per_hour(60));
        let now = Instant::now();
        for number in 0..59 {
            assert_eq!(buckets.take("a", quota, now).remaining, 59 - number);
            for other in 0..10 {
                buckets.take(&format!("{number}-{other}"), quota, now);
            }
            assert!(buckets.bytes() <= 10_000);
        }
    }
}
