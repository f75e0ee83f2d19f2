//! Tokens whose Secrets were made just now: nothing is said of them for a moment, as their broker will take them in that time.
//! With thousands of tokens at once, a status that is about to change is half of all writes.

use std::time::{Duration, Instant};

use kube::{Resource, ResourceExt};
use package_broker_core::domain::token::TokenHash;
use package_broker_crds::AccessToken;

use super::key;
use crate::{
    context::Context,
    member::{home, local_name},
    runtime::remembered::Remembered,
};

/// How long.
const HOLD: Duration = Duration::from_secs(3);
/// Tokens that are held, at most; when there are so many, all that are there are told of.
const MOST: usize = 100_000;

/// Which token it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    uid: Option<String>,
    generation: Option<i64>,
    fingerprint: String,
    until: Instant,
}

/// All of them, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Holds(Remembered<(String, String), Held, MOST>);

impl Holds {
    /// Holds a token whose Secret was written just now, if nothing was said of this state of it yet. Returns for how long.
    pub(super) fn hold(&self, token: &AccessToken, hash: &TokenHash) -> Option<Duration> {
        let said = token.status.as_ref();
        let said = said.and_then(|status| status.observed_generation);
        if said == token.metadata.generation || token.spec.suspend {
            return None;
        }
        let held = Held {
            uid: token.uid(),
            generation: token.metadata.generation,
            fingerprint: hash.fingerprint(),
            until: Instant::now() + HOLD,
        };
        self.0.note(key(token), held);
        Some(HOLD)
    }

    /// For how long a token is held yet; nothing from the moment that its broker takes it.
    pub(super) fn left(&self, token: &AccessToken, context: &Context) -> Option<Duration> {
        let held = self.0.get(&key(token))?;
        let left = held.until.saturating_duration_since(Instant::now());
        let is_same = held.uid == token.uid() && held.generation == token.meta().generation;
        if is_same && !left.is_zero() && !is_taken(token, &held.fingerprint, context) {
            return Some(left);
        }
        self.0.forget(&key(token));
        None
    }
}

fn is_taken(token: &AccessToken, fingerprint: &str, context: &Context) -> bool {
    let (namespace, name) = home(token);
    let Some(live) = context.answers.last(&namespace, &name) else {
        return false;
    };
    live.token(&local_name(token))
        .is_some_and(|taken| taken.fingerprint == fingerprint)
}
