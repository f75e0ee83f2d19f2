//! What is said of an `AccessToken`.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::controller::Action};
use package_broker_crds::{AccessToken, AccessTokenStatus, RECONCILE_REQUESTED_AT};
use package_broker_kinds::lifetime;

use super::{apply::Applied, dereference::Found, settled, verdict::judge};
use crate::{
    context::Context,
    error::ReconcileError,
    runtime::{
        conditions::{conditions, stands},
        failpoint::reach,
        status,
    },
};

/// Writes it. The token is looked at again when the next thing happens to it that is known of now.
pub(super) async fn write(
    token: &AccessToken,
    found: &Found,
    applied: Applied,
    (seen, context): (&[u8; 32], &Context),
) -> Result<Action, ReconcileError> {
    let now = Timestamp::now();
    let times = Times::of(token, &applied);
    let Said { status, is_waiting } = said(token, found, &applied, &times, now);
    let before = token.status.as_ref();
    if status::write(context, token, before, &status).await? {
        reach("token.status-written");
        let before = before.map_or(&[][..], |status| &status.conditions);
        let events = &context.events;
        events.tell(token, before, &status.conditions).await;
        reach("token.told");
    }
    let next = times.next(now).map(|next| {
        let left = next.duration_since(now).try_into().unwrap_or_default();
        Duration::saturating_add(left, Duration::from_millis(10))
    });
    let next = if is_waiting {
        // Its broker will say so when it takes the token; that another object has the same one, nobody says.
        let wait = context.backoffs.waiting(token);
        Some(next.map_or(wait, |next| next.min(wait)))
    } else {
        context.backoffs.settled(token);
        next
    };
    let inputs = settled::inputs(seen, Some(&status));
    context.token_looks.note(token, inputs, next);
    Ok(next.map_or_else(Action::await_change, Action::requeue))
}

/// When things happen to a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    issued_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    rotates_at: Option<Timestamp>,
    previous_until: Option<Timestamp>,
}

impl Times {
    pub(super) fn of(token: &AccessToken, applied: &Applied) -> Self {
        let spec = &token.spec;
        let made = applied.token.as_ref().ok().and_then(Option::as_ref);
        let record = made.map(|made| &made.record);
        let issued_at = record.and_then(|record| record.issued_at);
        let previous = record.and_then(|record| record.previous.as_ref());
        Self {
            issued_at,
            expires_at: lifetime::expires_at(spec, issued_at),
            rotates_at: lifetime::rotates_at(spec, issued_at),
            previous_until: previous
                .map(|previous| lifetime::previous_expires_at(spec, previous.valid_until)),
        }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// The next of them.
    pub(super) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let all = [self.expires_at, self.rotates_at, self.previous_until];
        all.into_iter().flatten().filter(|at| *at > now).min()
    }
}

/// What is said, and whether there is something to wait for.
pub(super) struct Said {
    pub(super) status: AccessTokenStatus,
    pub(super) is_waiting: bool,
}

/// What is to be said now.
pub(super) fn said(
    token: &AccessToken,
    found: &Found,
    applied: &Applied,
    times: &Times,
    now: Timestamp,
) -> Said {
    let (verdict, facts) = judge(token, found, applied, times.is_over(now));
    let before = token.status.as_ref();
    let conditions_before = before.map_or(&[][..], |status| &status.conditions);
    let generation = token.metadata.generation;
    let made = applied.token.as_ref().ok().and_then(Option::as_ref);
    let record = made.map(|made| &made.record);
    let fingerprint = made.map(|made| made.hash.fingerprint());
    // Of this very token.
    let is_same = before.and_then(|status| status.fingerprint.clone()) == fingerprint;
    let stands = found.live.is_none() && is_same && stands(conditions_before, generation, &verdict);
    let conditions = if stands {
        conditions_before.to_vec()
    } else {
        conditions(conditions_before, generation, &verdict, &facts, now)
    };
    let status = AccessTokenStatus {
        observed_generation: generation,
        conditions,
        last_handled_reconcile_at: token.annotations().get(RECONCILE_REQUESTED_AT).cloned(),
        secret_name: made.map(|made| made.secret.clone()),
        fingerprint,
        issued_at: times.issued_at.map(Time),
        expires_at: times.expires_at.map(Time),
        rotated_at: record.and_then(|record| record.rotated_at.map(Time)),
        next_rotation_time: times.rotates_at.map(Time),
        previous_valid_until: times.previous_until.map(Time),
        last_handled_rotate_at: record.and_then(|record| record.handled.clone()),
    };
    Said {
        status,
        // The answer of the broker brings the next look at what stands until then.
        is_waiting: verdict.is_unsettled() && !stands,
    }
}
