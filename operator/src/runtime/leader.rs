//! One operator at a time: leadership as a Lease, as client-go's leader election has it.
//!
//! Whoever would lead writes the Lease with the version it read: of two, the API server takes one. A leader that cannot
//! renew in time stops *before* others may take over, by its own steady clock; clocks of machines are never compared.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, Client, api::PostParams};
use tokio::time::Instant;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timing {
    /// A Lease that was not renewed for so long is free.
    pub(crate) lease: Duration,
    /// A leader that could not renew for so long stops. Less than `lease`.
    pub(crate) renew: Duration,
    /// Between two tries.
    pub(crate) retry: Duration,
}

/// Where the Lease is, and who we are.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) identity: String,
}

/// One that would lead.
pub(crate) struct Candidate {
    api: Api<Lease>,
    place: Place,
    timing: Timing,
    watch: Watch,
}

/// What one candidate knows of the Lease.
#[derive(Debug, Default)]
struct Watch {
    /// What it said last, and when that was new to us.
    seen: Option<(LeaseSpec, Instant)>,
}

/// What to do about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// Take it, or keep it.
    Write,
    /// Somebody else has it.
    Wait,
}

impl Watch {
    /// Judges a Lease as it was read just now.
    fn decide(&mut self, spec: &LeaseSpec, me: &str, lease: Duration, now: Instant) -> Decision {
        let since = match &self.seen {
            Some((seen, since)) if seen == spec => *since,
            _ => {
                self.seen = Some((spec.clone(), now));
                now
            }
        };
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let stated = spec
            .lease_duration_seconds
            .and_then(|s| u64::try_from(s).ok());
        let lease = stated.map_or(lease, Duration::from_secs).max(lease);
        if holder.is_empty() || holder == me || now.duration_since(since) > lease {
            Decision::Write
        } else {
            Decision::Wait
        }
    }
}

impl Candidate {
    pub(crate) fn new(client: Client, place: Place, timing: Timing) -> Self {
        Self {
            api: Api::namespaced(client, &place.namespace),
            place,
            timing,
            watch: Watch::default(),
        }
    }

    /// Waits until we lead.
    pub(crate) async fn lead(&mut self) {
        loop {
            match self.try_once().await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the Lease cannot be had; it is tried again"),
            }
            tokio::time::sleep(self.timing.retry).await;
        }
    }

    /// Leads until that is over: returns when the Lease could not be renewed in time, or is somebody else's.
    pub(crate) async fn hold(&mut self) {
        let mut renewed = Instant::now();
        loop {
            tokio::time::sleep(self.timing.retry).await;
            let left = self.timing.renew.saturating_sub(renewed.elapsed());
            // What was written in time counts from before it was sent.
            let began = Instant::now();
            match tokio::time::timeout(left, self.try_once()).await {
                Ok(Ok(true)) => renewed = began,
                Ok(Ok(false)) => {
                    tracing::error!("somebody else leads");
                    return;
                }
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the Lease cannot be renewed; it is tried again");
                }
                Err(_) => {
                    tracing::error!("the Lease could not be renewed in time");
                    return;
                }
            }
        }
    }

    /// Gives the Lease up, so that another leads at once. If that fails, it ends by itself.
    pub(crate) async fn release(&mut self) {
        let given_up = async {
            let mut lease = self.api.get(&self.place.name).await?;
            let spec = lease.spec.get_or_insert_default();
            if spec.holder_identity.as_deref() == Some(&self.place.identity) {
                spec.holder_identity = None;
                spec.lease_duration_seconds = Some(1);
                let params = PostParams::default();
                self.api.replace(&self.place.name, &params, &lease).await?;
            }
            Ok::<_, kube::Error>(())
        };
        match tokio::time::timeout(self.timing.retry, given_up).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lease was not given up"),
            Err(_) => tracing::warn!("the Lease was not given up in time"),
        }
    }

    /// Whether the Lease is ours now.
    async fn try_once(&mut self) -> Result<bool, kube::Error> {
        let params = PostParams::default();
        let Some(mut lease) = self.api.get_opt(&self.place.name).await? else {
            let lease = Lease {
                metadata: ObjectMeta {
                    name: Some(self.place.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.ours(&LeaseSpec::default())),
            };
            return won(self.api.create(&params, &lease).await);
        };
        let spec = lease.spec.take().unwrap_or_default();
        let (me, duration) = (&self.place.identity, self.timing.lease);
        match self.watch.decide(&spec, me, duration, Instant::now()) {
            Decision::Wait => Ok(false),
            Decision::Write => {
                lease.spec = Some(self.ours(&spec));
                won(self.api.replace(&self.place.name, &params, &lease).await)
            }
        }
    }

    /// The Lease as ours, after what it was.
    fn ours(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let me = Some(self.place.identity.clone());
        let is_new = before.holder_identity != me;
        LeaseSpec {
            acquire_time: if is_new {
                Some(now.clone())
            } else {
                before.acquire_time.clone()
            },
            renew_time: Some(now),
            holder_identity: me,
            lease_duration_seconds: i32::try_from(self.timing.lease.as_secs()).ok(),
            lease_transitions: Some(before.lease_transitions.unwrap_or(0) + i32::from(is_new)),
            ..LeaseSpec::default()
        }
    }
}

/// Whether a write was taken; another was faster if there is a conflict.
fn won(written: Result<Lease, kube::Error>) -> Result<bool, kube::Error> {
    match written {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_secs(30);

    fn held(by: &str, renewed: i64) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(by.to_owned()),
            renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
            lease_duration_seconds: Some(30),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_is_taken_only_once_it_was_silent_for_its_time() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut decide = |spec: &LeaseSpec, after: u64| {
            watch.decide(spec, "me", LEASE, start + Duration::from_secs(after))
        };
        // Its renewal may be long ago by some other clock: that says nothing.
        assert_eq!(decide(&held("other", 0), 0), Decision::Wait);
        assert_eq!(decide(&held("other", 0), 30), Decision::Wait);
        assert_eq!(decide(&held("other", 1), 31), Decision::Wait);
        assert_eq!(decide(&held("other", 1), 61), Decision::Wait);
        assert_eq!(decide(&held("other", 1), 62), Decision::Write);
    }

    #[test]
    fn a_lease_that_is_ours_or_nobodys_is_written_at_once() {
        let (mut watch, now) = (Watch::default(), Instant::now());
        assert_eq!(
            watch.decide(&held("me", 0), "me", LEASE, now),
            Decision::Write
        );
        assert_eq!(
            watch.decide(&LeaseSpec::default(), "me", LEASE, now),
            Decision::Write
        );
    }

    #[test]
    fn a_leader_with_a_longer_lease_is_given_it() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let spec = LeaseSpec {
            lease_duration_seconds: Some(60),
            ..held("other", 0)
        };
        let mut decide =
            |after: u64| watch.decide(&spec, "me", LEASE, start + Duration::from_secs(after));
        assert_eq!(decide(0), Decision::Wait);
        assert_eq!(decide(50), Decision::Wait);
        assert_eq!(decide(61), Decision::Write);
    }
}
