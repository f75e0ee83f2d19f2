//! Tokens of which there is nothing new to say: their Secrets are not read again. Most of what reaches a token is word of what
//! was written for it.

use std::time::Duration;

use jiff::Timestamp;
use kube::{Resource, runtime::controller::Action};
use package_broker_crds::{AccessToken, AccessTokenStatus};

use super::{key, looks::Look};
use crate::{
    context::Context,
    database::digest,
    member::{home, local_name},
    runtime::remembered::Remembered,
};

/// Tokens that are remembered, at most; when there are so many, all are looked at once more.
const MOST: usize = 100_000;

/// A look at a token, and when the next is due by itself.
#[derive(Clone, Copy, Debug)]
struct Settled {
    inputs: [u8; 32],
    next: Option<Timestamp>,
}

/// The last look at each token, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Settlements(Remembered<(String, String), Settled, MOST>);

impl Settlements {
    /// When to look again, if a look now would find nothing new.
    pub(super) fn stands(&self, token: &AccessToken, inputs: &[u8; 32]) -> Option<Action> {
        let known = self.0.get(&key(token))?;
        if known.inputs != *inputs {
            return None;
        }
        let Some(next) = known.next else {
            return Some(Action::await_change());
        };
        let left = Duration::try_from(next.duration_since(Timestamp::now())).ok()?;
        (!left.is_zero()).then(|| Action::requeue(left))
    }

    /// Remembers a look.
    pub(super) fn note(&self, token: &AccessToken, inputs: [u8; 32], next: Option<Duration>) {
        let now = Timestamp::now();
        let next = next.map(|next| now.checked_add(next).unwrap_or(Timestamp::MAX));
        self.0.note(key(token), Settled { inputs, next });
    }
}

/// A digest of all that is looked at besides the status: which state of each there is. Taken before anything is read, so
/// that what comes meanwhile is another.
pub(super) fn seen(token: &AccessToken, context: &Context) -> [u8; 32] {
    let (namespace, name) = home(token);
    let broker = context.broker(&namespace, &name);
    let broker = broker.as_ref().map(|broker| broker.meta());
    let live = context.answers.last(&namespace, &name);
    let live = live.map(|live| live.token(&local_name(token)).cloned());
    let own = token.meta();
    let labels = context.namespace_labels(own.namespace.as_deref().unwrap_or_default());
    let seen = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {live:?} {labels:?}",
        own.uid,
        own.generation,
        own.annotations,
        Look::at(token, context),
        broker.map(|broker| &broker.uid),
        broker.map(|broker| broker.generation),
    );
    digest([seen.as_bytes()])
}

/// The same with a status.
pub(super) fn inputs(seen: &[u8; 32], status: Option<&AccessTokenStatus>) -> [u8; 32] {
    let status = serde_json::to_string(&status).unwrap_or_default();
    digest([&seen[..], status.as_bytes()])
}
