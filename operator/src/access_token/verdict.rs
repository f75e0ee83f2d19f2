//! How it stands with an `AccessToken`. Pure: no client.

use package_broker_crds::{AccessToken, ConditionType, ROTATE_REQUESTED_AT, Reason};
use package_broker_kinds::lifetime;

use super::{Token, apply::Applied, dereference::Found};
use crate::{
    member::{home, local_name},
    refusal::Refusal,
    runtime::conditions::{Fact, Verdict},
};

/// What is said of it, in short and in its parts.
pub(super) fn judge(
    token: &AccessToken,
    found: &Found,
    applied: &Applied,
    is_over: bool,
) -> (Verdict, Vec<Fact>) {
    let registered = registered(token, found, applied);
    (
        verdict(token, found, applied, is_over, registered),
        facts(token, applied, is_over, registered),
    )
}

/// Whether the broker takes this very token.
fn registered(token: &AccessToken, found: &Found, applied: &Applied) -> bool {
    let Ok(Some(Token { hash, .. })) = &applied.token else {
        return false;
    };
    let live = found.live.as_ref();
    let live = live.and_then(|live| live.token(&local_name(token)));
    live.is_some_and(|live| {
        live.fingerprint == hash.fingerprint() && live.generation == token.metadata.generation
    })
}

fn verdict(
    token: &AccessToken,
    found: &Found,
    applied: &Applied,
    is_over: bool,
    registered: bool,
) -> Verdict {
    let (namespace, broker) = home(token);
    if found.broker.is_none() {
        return Refusal::no_broker(&namespace, &broker).verdict();
    }
    let made = match &applied.token {
        Err(refusal) => return refusal.clone().verdict(),
        Ok(None) => {
            return Verdict::Progressing(Reason::Progressing, "the token is being made".to_owned());
        }
        Ok(Some(made)) => made,
    };
    if is_over {
        return Verdict::Stalled(Reason::Expired, over(token).join("; "));
    }
    if token.spec.suspend {
        return Verdict::Suspended;
    }
    if registered {
        let (secret, key) = (&made.secret, &made.key);
        let hint = hint(token);
        return Verdict::Ready(format!(
            "the token in Secret \"{secret}\", key \"{key}\", is valid{hint}"
        ));
    }
    Verdict::Progressing(
        Reason::DependencyNotReady,
        format!("waiting until PackageBroker \"{broker}\" takes the token"),
    )
}

/// Why the time of a token is over, and what to do.
fn over(token: &AccessToken) -> [&'static str; 2] {
    if token.spec.expires_at.is_some() {
        return [
            "spec.expiresAt has passed",
            "set a later time, or delete the token",
        ];
    }
    [
        "the token is older than spec.ttl",
        "set the annotation package.broker/rotate-requested-at to a new value to have a new one made, or set a longer ttl",
    ]
}

/// What is asked for and cannot be done here.
fn hint(token: &AccessToken) -> String {
    if token.spec.existing_secret_ref.is_none() || lifetime::request(token).is_none() {
        return String::new();
    }
    format!(
        "; the annotation {ROTATE_REQUESTED_AT} has no effect on a token of your own, put another one into the Secret"
    )
}

fn facts(token: &AccessToken, applied: &Applied, is_over: bool, registered: bool) -> Vec<Fact> {
    let fact = |type_, holds, reason, message: &str| Fact {
        type_,
        holds,
        reason,
        message: message.to_owned(),
    };
    let secret = match &applied.token {
        Ok(Some(_)) => fact(
            ConditionType::SecretReady,
            true,
            Reason::Succeeded,
            "the Secret holds the token",
        ),
        Ok(None) => fact(
            ConditionType::SecretReady,
            false,
            Reason::Progressing,
            "the Secret is being made",
        ),
        Err(refusal) => fact(
            ConditionType::SecretReady,
            false,
            refusal.reason,
            &refusal.message,
        ),
    };
    let registered = match (registered, token.spec.suspend, is_over) {
        (_, true, _) => fact(
            ConditionType::Registered,
            false,
            Reason::Suspended,
            "spec.suspend is true: the token is refused",
        ),
        (_, _, true) => fact(
            ConditionType::Registered,
            false,
            Reason::Expired,
            "the token's time is over: it is refused",
        ),
        (true, ..) => fact(
            ConditionType::Registered,
            true,
            Reason::Succeeded,
            "the broker takes the token",
        ),
        (false, ..) => fact(
            ConditionType::Registered,
            false,
            Reason::Progressing,
            "the broker does not take the token yet",
        ),
    };
    let mut facts = vec![secret, registered];
    if is_over {
        facts.push(fact(
            ConditionType::Expired,
            true,
            Reason::Expired,
            over(token)[0],
        ));
    }
    facts
}
