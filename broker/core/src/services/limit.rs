//! How often: limits of requests, which all replicas share.
//!
//! Requests do not wait for the cache: if it does not answer within [`PATIENCE`], the limit is kept in this process
//! alone, where each bucket begins full (design rule 7). A cache that did not answer is asked again after [`PAUSE`], so
//! that only few requests wait for it in vain.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::token::{Grant, network};
use crate::{
    domain::{
        buckets::Buckets,
        quota::{Quota, Taken},
    },
    ports::cache::{Cache, CacheError},
    telemetry::Telemetry,
};

/// The longest time that a request waits for the cache.
const PATIENCE: Duration = Duration::from_millis(250);

/// For how long a cache that did not answer is not asked.
const PAUSE: Duration = Duration::from_secs(1);

/// Memory for the buckets that are kept in this process alone, in bytes.
const ALONE: usize = 4 << 20;

/// Buckets of requests, of tokens and of addresses.
pub struct LimitService {
    cache: Arc<dyn Cache>,
    telemetry: Arc<Telemetry>,
    alone: Mutex<Alone>,
}

struct Alone {
    buckets: Buckets,
    /// When the cache is asked again, if it did not answer.
    until: Option<Instant>,
}

impl LimitService {
    /// A service whose buckets are in the cache.
    pub fn new(cache: Arc<dyn Cache>, telemetry: Arc<Telemetry>) -> Self {
        let alone = Alone {
            buckets: Buckets::new(ALONE),
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

    async fn take(&self, key: &str, quota: Quota) -> Taken {
        let taken = if let Some(taken) = self.shared(key, quota).await {
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
    async fn shared(&self, key: &str, quota: Quota) -> Option<Taken> {
        let waits = self.alone().until;
        if waits.is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let asked = tokio::time::timeout(PATIENCE, self.cache.take(key, quota)).await;
        let answered =
            asked.unwrap_or_else(|_| Err(CacheError(format!("nothing within {PATIENCE:?}"))));
        match answered {
            Ok(taken) => {
                if waits.is_some() && self.alone().until.take().is_some() {
                    tracing::info!("the cache answers again; limits of requests are shared");
                }
                Some(taken)
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
