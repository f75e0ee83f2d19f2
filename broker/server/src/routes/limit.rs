//! How often: requests are counted for the client's address and for the token, where these have limits.

use std::{
    net::IpAddr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use package_broker_core::{
    domain::{
        installation::Installation,
        quota::{Quota, Taken},
    },
    services::token::Grant,
};

use super::{App, error::Problem};

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Which of the limits of a request is nearest to its end. Nothing, if it has none.
#[derive(Debug, Default)]
pub(super) struct Nearest(Option<(Quota, Taken)>);

impl Nearest {
    /// Counts the request for the client's address, whoever asks: tokens that are guessed count as well.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub(super) async fn count_address(&mut self, app: &App, client: IpAddr) -> Result<(), Problem> {
        let limits = app.broker.catalog.in_installation(Installation::limits);
        let Some(quota) = limits.per_address else {
            return Ok(());
        };
        let taken = app.broker.limits.take_of_address(client, quota).await;
        self.note(quota, taken, "this address")
    }

    /// Counts the request for its token.
    ///
    /// # Errors
    /// 429 if there were too many.
    pub(super) async fn count_token(&mut self, app: &App, grant: &Grant) -> Result<(), Problem> {
        let Some(quota) = grant.quota else {
            return Ok(());
        };
        let taken = app.broker.limits.take_of_token(grant, quota).await;
        self.note(quota, taken, "this token")
    }

    fn note(&mut self, quota: Quota, taken: Taken, whose: &str) -> Result<(), Problem> {
        if self
            .0
            .is_none_or(|(_, other)| taken.remaining <= other.remaining)
        {
            self.0 = Some((quota, taken));
        }
        if taken.allowed {
            return Ok(());
        }
        Err(Problem::over_limit(
            whose,
            quota.requests(),
            taken.retry_after,
        ))
    }

    /// Says how many requests there may be an hour, how many are left, and at which Unix time all are there again.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        let Some((quota, taken)) = self.0 else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let full_at = now.unwrap_or_default() + taken.full_after;
        headers.insert(LIMIT, HeaderValue::from(quota.requests()));
        headers.insert(REMAINING, HeaderValue::from(taken.remaining));
        headers.insert(RESET, HeaderValue::from(whole_seconds(full_at)));
    }
}

/// A time in seconds, never less than it is.
pub(super) fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(takes: &[(u32, u64)]) -> (Nearest, Option<Problem>) {
        let mut nearest = Nearest::default();
        for (requests, debt_in_requests) in takes {
            let quota = Quota::per_hour(*requests);
            let (allowed, debt) = quota.take(quota.cost() * debt_in_requests);
            if let Err(problem) = nearest.note(quota, quota.taken(allowed, debt), "this token") {
                return (nearest, Some(problem));
            }
        }
        (nearest, None)
    }

    fn told(nearest: &Nearest) -> [String; 2] {
        let mut headers = HeaderMap::new();
        nearest.tell(&mut headers);
        let reset: u64 = headers[RESET].to_str().unwrap().parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!((1..=3_601).contains(&(reset - now.as_secs())));
        [LIMIT, REMAINING].map(|name| headers[name].to_str().unwrap().to_owned())
    }

    #[test]
    fn of_two_limits_the_nearest_is_told() {
        assert_eq!(told(&noted(&[(100, 3)]).0), ["100", "96"]);
        assert_eq!(told(&noted(&[(100, 3), (1_000, 0)]).0), ["100", "96"]);
        assert_eq!(told(&noted(&[(1_000, 0), (100, 3)]).0), ["100", "96"]);
        let (nearest, problem) = noted(&[(1_000, 1_000), (100, 3)]);
        assert!(problem.is_some());
        assert_eq!(told(&nearest), ["1000", "0"]);
    }

    #[test]
    fn without_a_limit_nothing_is_told() {
        let mut headers = HeaderMap::new();
        Nearest::default().tell(&mut headers);
        assert!(headers.is_empty());
    }

    #[test]
    fn seconds_are_rounded_up() {
        for (millis, seconds) in [(0, 0), (1, 1), (1_000, 1), (59_001, 60), (60_000, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds);
        }
    }
}
