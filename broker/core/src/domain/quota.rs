//! How many requests an hour: a bucket that holds an hour's requests and is refilled evenly.
//!
//! This is the generic cell rate algorithm
//! (<https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm>). All that has to be remembered of a bucket is the
//! moment at which it will be full again. How far away that is, is its *debt*: nothing for a full bucket, and one
//! request's [`cost`](Quota::cost) more with each request. A request that would make the debt greater than the bucket's
//! [`depth`](Quota::depth) is refused and costs nothing. So an hour's requests may come at once, and after them the next
//! one need never wait longer than a minute, rather than for the end of the hour.

use std::{ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

/// Microseconds in an hour.
const HOUR: u64 = 3_600_000_000;

/// A limit of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct Quota {
    requests: u32,
}

impl Quota {
    /// The limits there may be, in requests an hour: of the least, one is refilled in a minute.
    pub const RANGE: RangeInclusive<u32> = 60..=10_000_000;

    /// So many requests an hour; outside of [`Quota::RANGE`], the next number in it.
    pub fn per_hour(requests: u32) -> Self {
        let requests = requests.clamp(*Self::RANGE.start(), *Self::RANGE.end());
        Self { requests }
    }

    /// The requests an hour, and those that may come at once.
    pub fn requests(self) -> u32 {
        self.requests
    }

    /// What one request adds to the debt, in microseconds: the time in which one is refilled, rounded up. At most a
    /// minute.
    pub fn cost(self) -> u64 {
        HOUR.div_ceil(u64::from(self.requests))
    }

    /// The debt of an empty bucket, in microseconds: the time in which it is filled.
    pub fn depth(self) -> u64 {
        self.cost() * u64::from(self.requests)
    }

    /// Takes one request out of a bucket with `debt`, and returns whether there was one and the debt afterwards. A debt
    /// deeper than the bucket, of a clock that was put back or a greater limit, counts as one of an empty bucket.
    pub fn take(self, debt: u64) -> (bool, u64) {
        let debt = debt.min(self.depth());
        let after = debt + self.cost();
        if after > self.depth() {
            return (false, debt);
        }
        (true, after)
    }

    /// What there is to say about a request, with what [`Quota::take`] returned.
    pub fn taken(self, allowed: bool, debt: u64) -> Taken {
        let debt = debt.min(self.depth());
        let remaining = (self.depth() - debt) / self.cost();
        let missing = (debt + self.cost()).saturating_sub(self.depth());
        Taken {
            allowed,
            remaining: u32::try_from(remaining).unwrap_or(u32::MAX),
            retry_after: Duration::from_micros(if allowed { 0 } else { missing }),
            full_after: Duration::from_micros(debt),
        }
    }
}

impl From<u32> for Quota {
    fn from(requests: u32) -> Self {
        Self::per_hour(requests)
    }
}

impl From<Quota> for u32 {
    fn from(quota: Quota) -> Self {
        quota.requests
    }
}

/// How it went to take one request out of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Whether there was one.
    pub allowed: bool,
    /// How many are left for now.
    pub remaining: u32,
    /// When there is one again, if there was none. At most a minute.
    pub retry_after: Duration,
    /// When all are there again, if none is taken meanwhile.
    pub full_after: Duration,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_hour_of_requests_may_come_at_once_and_the_next_in_its_turn() {
        let quota = Quota::per_hour(60);
        let mut debt = 0;
        for remaining in (0..60).rev() {
            let (allowed, after) = quota.take(debt);
            debt = after;
            let taken = quota.taken(allowed, debt);
            assert!(allowed);
            assert_eq!(taken.remaining, remaining);
            assert_eq!(taken.retry_after, Duration::ZERO);
            assert_eq!(
                taken.full_after,
                Duration::from_mins(60 - u64::from(remaining))
            );
        }
        assert_eq!(quota.take(debt), (false, debt));
        let refused = quota.taken(false, debt);
        assert_eq!(refused.retry_after, Duration::from_mins(1));
        assert_eq!(
            (refused.remaining, refused.full_after),
            (0, Duration::from_hours(1))
        );
        assert!(quota.take(debt - 60_000_000).0);
        assert!(!quota.take(debt - 59_999_999).0);
    }

    #[test]
    fn limits_are_kept_within_their_range() {
        assert_eq!(Quota::per_hour(0).requests(), 60);
        assert_eq!(Quota::per_hour(u32::MAX).requests(), 10_000_000);
        assert_eq!(serde_json::to_string(&Quota::per_hour(100)).unwrap(), "100");
    }

    #[test]
    fn a_debt_deeper_than_the_bucket_is_paid_within_an_hour() {
        let quota = Quota::per_hour(100);
        assert_eq!(quota.take(u64::MAX), (false, quota.depth()));
        let taken = quota.taken(false, u64::MAX);
        assert_eq!(taken.full_after, Duration::from_hours(1));
        assert_eq!(taken.retry_after, Duration::from_secs(36));
    }

    fn quotas() -> impl Strategy<Value = Quota> {
        Quota::RANGE.prop_map(Quota::per_hour)
    }

    proptest! {
        #[test]
        fn a_bucket_gives_what_it_holds_and_what_is_refilled(
            quota in 60..2_000u32, pauses in proptest::collection::vec(0..30_000_000u64, 1..3_000),
        ) {
            let quota = Quota::per_hour(quota);
            let (mut debt, mut elapsed, mut given) = (0u64, 0, 0);
            for pause in pauses {
                debt = debt.saturating_sub(pause);
                elapsed += pause;
                let (allowed, after) = quota.take(debt);
                debt = after;
                given += u64::from(allowed);
                prop_assert!(given <= u64::from(quota.requests()) + elapsed / quota.cost());
                prop_assert!(debt <= quota.depth());
            }
        }

        #[test]
        fn what_is_told_is_true(quota in quotas(), share in 0.0..=1.0) {
            #[expect(
                clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "any debt will do"
            )]
            let debt = (quota.depth() as f64 * share) as u64;
            let (allowed, after) = quota.take(debt);
            let taken = quota.taken(allowed, after);
            prop_assert_eq!(allowed, taken.retry_after.is_zero());
            prop_assert!(taken.retry_after <= Duration::from_mins(1));
            // What remains can be taken, and no more.
            let rest = u64::from(taken.remaining) * quota.cost();
            prop_assert!(after + rest <= quota.depth());
            prop_assert!(!quota.take(after + rest).0);
            if !allowed {
                let waited = u64::try_from(taken.retry_after.as_micros()).unwrap();
                prop_assert!(quota.take(after - waited).0);
                prop_assert!(!quota.take(after - waited + 1).0);
            }
            prop_assert_eq!(u128::from(after), taken.full_after.as_micros());
        }

        #[test]
        fn a_bucket_is_filled_within_little_more_than_an_hour(quota in quotas()) {
            let depth = quota.depth();
            prop_assert!(depth >= HOUR && depth < HOUR + u64::from(quota.requests()));
        }
    }
}
