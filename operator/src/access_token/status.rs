//! What is said of an `AccessToken`.

use std::time::Duration;

use jiff::Timestamp;
use kube::{ResourceExt, runtime::controller::Action};
use package_broker_crds::{
    AccessToken, AccessTokenStatus, ConditionType, RECONCILE_REQUESTED_AT, Reason,
};

use super::{Token, apply::Applied, dereference::Found};
use crate::{
    context::Context,
    error::ReconcileError,
    refusal::Refusal,
    runtime::{
        conditions::{Fact, Verdict, conditions, stands},
        failpoint::reach,
        status,
    },
};

/// Writes it. A token with an end is looked at again then.
pub(super) async fn write(
    token: &AccessToken,
    found: &Found,
    applied: Applied,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let now = Timestamp::now();
    let end = token.spec.expires_at.as_ref().map(|end| end.0);
    let is_over = end.is_some_and(|end| end <= now);
    let registered = registered(token, found, &applied);
    let verdict = verdict(token, found, &applied, is_over, registered);
    let facts = facts(token, &applied, is_over, registered);
    let before = token.status.as_ref();
    let generation = token.metadata.generation;
    let made = applied.token.as_ref().ok().and_then(Option::as_ref);
    let conditions_before = before.map_or(&[][..], |status| &status.conditions);
    // Of this very token.
    let is_same = before.and_then(|status| status.fingerprint.clone())
        == made.map(|made| made.hash.fingerprint());
    if found.live.is_none() && is_same && stands(conditions_before, generation, &verdict) {
        return Ok(context.backoffs.settled(token));
    }
    let status = AccessTokenStatus {
        observed_generation: generation,
        conditions: conditions(conditions_before, generation, &verdict, &facts, now),
        last_handled_reconcile_at: token.annotations().get(RECONCILE_REQUESTED_AT).cloned(),
        secret_name: made.map(|made| made.secret.clone()),
        fingerprint: made.map(|made| made.hash.fingerprint()),
    };
    if status::write(&context.client, token, before, &status).await? {
        reach("token.status-written");
        context
            .events
            .tell(token, conditions_before, &status.conditions)
            .await;
        reach("token.told");
    }
    if verdict.is_unsettled() {
        // Its broker will say so when it takes the token; that another object has the same one, nobody says.
        return Ok(context.backoffs.failed(token));
    }
    let settled = context.backoffs.settled(token);
    Ok(match end.filter(|_| !is_over) {
        Some(end) => {
            let left: Duration = end.duration_since(now).try_into().unwrap_or_default();
            Action::requeue(left + Duration::from_millis(10))
        }
        None => settled,
    })
}

/// Whether the broker takes this very token.
fn registered(token: &AccessToken, found: &Found, applied: &Applied) -> bool {
    let Ok(Some(Token { hash, .. })) = &applied.token else {
        return false;
    };
    let live = found.live.as_ref();
    let live = live.and_then(|live| live.token(&token.name_any()));
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
    let namespace = token.namespace().unwrap_or_default();
    let broker = token.spec.broker_ref.name.as_str();
    if found.broker.is_none() {
        return Refusal::no_broker(&namespace, broker).verdict();
    }
    let made = match &applied.token {
        Err(refusal) => return refusal.clone().verdict(),
        Ok(None) => {
            return Verdict::Progressing(Reason::Progressing, "the token is being made".to_owned());
        }
        Ok(Some(made)) => made,
    };
    if is_over {
        return Verdict::Stalled(
            Reason::Expired,
            "spec.expiresAt has passed; set a later time, or delete the token".to_owned(),
        );
    }
    if token.spec.suspend {
        return Verdict::Suspended;
    }
    if registered {
        let (secret, key) = (&made.secret, &made.key);
        return Verdict::Ready(format!(
            "the token in Secret \"{secret}\", key \"{key}\", is valid"
        ));
    }
    Verdict::Progressing(
        Reason::DependencyNotReady,
        format!("waiting until PackageBroker \"{broker}\" takes the token"),
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
            "spec.expiresAt has passed",
        ));
    }
    facts
}
