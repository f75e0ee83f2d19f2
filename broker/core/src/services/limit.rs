//! How often: limits of requests and of guesses, which all replicas share.
//!
//! Requests do not wait for the cache: if it does not answer within [`PATIENCE`], the limit is kept in this process
//! alone, where each bucket begins full (design rule 7). A cache that did not answer is asked again after [`PAUSE`], so
//! that only few requests wait for it in vain.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::token::Grant;
use crate::{
    domain::{
        buckets::Buckets,
        counters::Counters,
        quota::{Quota, Taken},
    },
    ports::cache::{Cache, CacheError},
    telemetry::Telemetry,
};

/// The longest time that a request waits for the cache.
const PATIENCE: Duration = Duration::from_millis(250);

/// For how long a cache that did not answer is not asked.
const PAUSE: Duration = Duration::from_secs(1);

/// Memory for the buckets that are kept in this process alone, in bytes, and as much for the counters.
const ALONE: usize = 4 << 20;

/// Failures of one address within [`FAILURE_WINDOW`] that are answered without delay.
const FREE_FAILURES: u64 = 10;
/// Failures of one address within the window after which the answer is "too many".
const MAX_FAILURES: u64 = 60;
/// How long failures are remembered.
const FAILURE_WINDOW: Duration = Duration::from_mins(1);

/// What to do about an attempt with a wrong token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slowdown {
    /// Answer at once.
    None,
    /// Answer after this time.
    Wait(Duration),
    /// Answer "too many requests", after a pause, to be asked again after a time.
    Refuse {
        /// How long to keep the client waiting for the answer.
        pause: Duration,
        /// When to ask again.
        retry_after: Duration,
    },
}

/// Buckets of requests, of tokens and of addresses, and counters of guesses.
pub struct LimitService {
    cache: Arc<dyn Cache>,
    telemetry: Arc<Telemetry>,
    alone: Mutex<Alone>,
}

struct Alone {
    buckets: Buckets,
    failures: Counters,
    /// When the cache is asked again, if it did not answer.
    until: Option<Instant>,
}

impl LimitService {
    /// A service whose buckets are in the cache.
    pub fn new(cache: Arc<dyn Cache>, telemetry: Arc<Telemetry>) -> Self {
        let alone = Alone {
            buckets: Buckets::new(ALONE),
            failures: Counters::new(ALONE),
            until: None,
        };
        Self {
            cache,
            telemetry,
            alone: Mutex::new(alone),
        }
    }

    /// Whether what is counted is shared with other processes: whether the cache is thought to answer.
    pub fn are_shared(&self) -> bool {
        self.cache.is_up()
    }

    /// Takes one request out of the bucket of a token. The bucket goes by the `AccessToken`'s name: a new token under
    /// the same name has no new bucket.
    pub async fn take_of_token(&self, grant: &Grant, quota: Quota) -> Taken {
        self.take(&format!("token:{}", grant.token), quota).await
    }

    /// Takes one request out of the bucket of a client's address; of IPv6, of its whole network of 64 bits, which a
    /// client may choose from.
    pub async fn take_of_address(&self, address: IpAddr, quota: Quota) -> Taken {
        self.take(&format!("address:{}", network(address)), quota)
            .await
    }

    /// Counts a failed attempt of an address and says how to answer it. A valid token is never slowed down, as
    /// many people may share an address. An IPv6 client counts with its whole network, which it may choose from.
    pub async fn failed(&self, address: IpAddr) -> Slowdown {
        self.telemetry.auth_failures.increment();
        let key = format!("auth-failures:{}", network(address));
        // Counted here in any case: a cache that goes away gives nobody who guesses a new start.
        let here = self
            .alone()
            .failures
            .count(&key, FAILURE_WINDOW, Instant::now());
        let everywhere = self.shared(self.cache.count(&key, FAILURE_WINDOW)).await;
        slowdown(everywhere.unwrap_or_default().max(here))
    }

    async fn take(&self, key: &str, quota: Quota) -> Taken {
        let taken = if let Some(taken) = self.shared(self.cache.take(key, quota)).await {
            taken
        } else {
            self.telemetry.limits_alone.increment();
            self.alone().buckets.take(key, quota, Instant::now())
        };
        if !taken.allowed {
            self.telemetry.over_limit.increment();
        }
        taken
    }

    /// What the cache says, if it is asked and answers in time.
    async fn shared<T>(&self, asking: impl Future<Output = Result<T, CacheError>>) -> Option<T> {
        let waits = self.alone().until;
        if waits.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let asked = tokio::time::timeout(PATIENCE, asking).await;
        let answered =
            asked.unwrap_or_else(|_| Err(CacheError(format!("nothing within {PATIENCE:?}"))));
        match answered {
            Ok(answer) => {
                if waits.is_some() && self.alone().until.take().is_some() {
                    tracing::info!("the cache answers again; limits of requests are shared");
                }
                Some(answer)
            }
            Err(error) => {
                let again = Instant::now() + PAUSE;
                if self.alone().until.replace(again).is_none() {
                    tracing::warn!(%error, "limits of requests are kept in this process alone until the cache answers");
                }
                None
            }
        }
    }

    fn alone(&self) -> MutexGuard<'_, Alone> {
        self.alone.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slowdown(failures: u64) -> Slowdown {
    match failures {
        0..=FREE_FAILURES => Slowdown::None,
        failures if failures <= MAX_FAILURES => Slowdown::Wait(pause(failures)),
        _ => Slowdown::Refuse {
            pause: pause(MAX_FAILURES),
            retry_after: FAILURE_WINDOW,
        },
    }
}

fn pause(failures: u64) -> Duration {
    Duration::from_millis(50 * failures.saturating_sub(FREE_FAILURES))
}

/// What one client may have for itself: an IPv4 address, or the first 64 bits of an IPv6 one.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}
