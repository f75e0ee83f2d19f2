//! What is said of a `PackageBroker`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{api::apps::v1::Deployment, apimachinery::pkg::apis::meta::v1::Condition};
use kube::{Resource, ResourceExt, runtime::controller::Action};
use package_broker_crds::{
    ConditionType, PackageBroker, PackageBrokerStatus, RECONCILE_REQUESTED_AT, Reason,
};

use super::{
    apply::Applied,
    build::{BuildError, public_url, sync_request},
    pods,
};
use crate::{
    context::Context,
    error::ReconcileError,
    runtime::{
        conditions::{Fact, Verdict, conditions, find},
        failpoint::reach,
        live::{AskError, Live},
        status,
    },
};

/// Leaves a broker alone that is suspended, or going.
pub(super) async fn rest(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let namespace = broker.namespace().unwrap_or_default();
    if broker.meta().deletion_timestamp.is_some() {
        context.answers.forget(&namespace, &broker.name_any());
        return Ok(Action::await_change());
    }
    let before = broker.status.clone().unwrap_or_default();
    let facts = kept(&before.conditions);
    let now = put(broker, before, &Verdict::Suspended, &facts);
    tell(broker, &now, context).await?;
    Ok(context.backoffs.settled(broker))
}

/// Says that a reconcile did not come to its end. What is too large stays so until something changes; all else is tried
/// again.
pub(super) async fn failed(
    broker: &PackageBroker,
    error: ReconcileError,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let is_too_large = matches!(&error, ReconcileError::Build(BuildError::TooLarge(_)));
    let verdict = if is_too_large {
        Verdict::Stalled(Reason::TooLarge, error.to_string())
    } else {
        Verdict::Retrying(Reason::Failed, error.to_string())
    };
    let before = broker.status.clone().unwrap_or_default();
    let facts = kept(&before.conditions);
    let now = put(broker, before, &verdict, &facts);
    tell(broker, &now, context).await?;
    if is_too_large {
        return Ok(context.backoffs.settled(broker));
    }
    Err(error)
}

/// What was found out about the pods before, of which nothing new is known.
fn kept(before: &[Condition]) -> Vec<Fact> {
    let known = find(before, ConditionType::Available);
    let fact = known.map(|known| Fact {
        type_: ConditionType::Available,
        holds: known.status == "True",
        reason: if known.status == "True" {
            Reason::Succeeded
        } else {
            Reason::PodsNotReady
        },
        message: known.message.clone(),
    });
    fact.into_iter().collect()
}

/// Writes what came of it.
pub(super) async fn write(
    broker: &PackageBroker,
    applied: Applied,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let mut availability = availability(applied.deployment.as_deref());
    if let Err(message) = &mut availability
        && let Some(trouble) = pods::trouble(broker, context).await?
    {
        *message = trouble;
    }
    let live = match availability {
        Ok(()) => Some(ask(broker, context).await),
        Err(_) => None,
    };
    if live.is_some() {
        reach("broker.asked");
    }
    let verdict = verdict(broker, &applied, &availability, live.as_ref());
    let (holds, reason, message) = match &availability {
        Ok(()) => (true, Reason::Succeeded, "the pod serves".to_owned()),
        Err(message) => (false, Reason::PodsNotReady, message.clone()),
    };
    let fact = Fact {
        type_: ConditionType::Available,
        holds,
        reason,
        message,
    };
    let count = |number: usize| i32::try_from(number).ok();
    let summary = applied.summary;
    let before = PackageBrokerStatus {
        url: Some(public_url(broker)),
        image: Some(summary.image),
        version: match &live {
            Some(Ok(live)) => Some(live.version.clone()),
            _ => broker
                .status
                .as_ref()
                .and_then(|status| status.version.clone()),
        },
        repositories: count(summary.repositories),
        access_tokens: count(summary.tokens),
        ..broker.status.clone().unwrap_or_default()
    };
    let now = put(broker, before, &verdict, &[fact]);
    tell(broker, &now, context).await?;
    Ok(
        if verdict.is_unsettled() || is_busy(broker, live.as_ref(), context) {
            context.backoffs.poll(broker)
        } else {
            context.backoffs.watch(broker)
        },
    )
}

/// Whether something is going on in the broker that ends by itself: a change or a request that it has not taken up, or a
/// first sync.
fn is_busy(
    broker: &PackageBroker,
    live: Option<&Result<Arc<Live>, AskError>>,
    context: &Context,
) -> bool {
    let Some(Ok(live)) = live else { return false };
    let repositories = context.repositories_of(broker);
    let tokens = context.tokens_of(broker);
    let of_repositories = repositories.iter().any(|repository| {
        let live = live.repository(&repository.name_any());
        live.is_some_and(|live| {
            live.generation != repository.metadata.generation
                || live.last_sync.is_none()
                || live.handled_sync_request != sync_request(repository)
        })
    });
    let of_tokens = tokens.iter().any(|token| {
        let live = live.token(&token.name_any());
        let known = token.status.as_ref();
        let known = known.and_then(|status| status.fingerprint.as_ref());
        live.is_some_and(|live| {
            // Another token under the same spec, as after a rotation.
            let is_another = known.is_some_and(|known| *known != live.fingerprint);
            is_another || live.generation != token.metadata.generation
        })
    });
    of_repositories || of_tokens
}

/// Asks the pod how it goes, and has those looked at again of which it says something new.
async fn ask(broker: &PackageBroker, context: &Context) -> Result<Arc<Live>, AskError> {
    let (namespace, name) = (broker.namespace().unwrap_or_default(), broker.name_any());
    let url = context
        .status_url
        .replace("{name}", &name)
        .replace("{namespace}", &namespace);
    let (live, before) = context.answers.ask(&namespace, &name, &url).await?;
    let before = before.unwrap_or_default();
    for repository in context.repositories_of(broker) {
        let name = repository.name_any();
        if live.repository(&name) != before.repository(&name) {
            context.look_at_repository.look_at(&name, &namespace);
        }
    }
    for token in context.tokens_of(broker) {
        let name = token.name_any();
        if live.token(&name) != before.token(&name) {
            context.look_at_token.look_at(&name, &namespace);
        }
    }
    Ok(live)
}

/// Whether the pods serve; if not, what is known of why.
fn availability(deployment: Option<&Deployment>) -> Result<(), String> {
    let starting = || Err("the pod is being started".to_owned());
    let Some(deployment) = deployment else {
        return starting();
    };
    let Some(status) = &deployment.status else {
        return starting();
    };
    if status.observed_generation < deployment.metadata.generation {
        return starting();
    }
    if status.updated_replicas.unwrap_or_default() >= 1
        && status.available_replicas.unwrap_or_default() >= 1
    {
        return Ok(());
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let stuck = conditions.iter().find(|condition| {
        let said = (condition.type_.as_deref(), condition.status.as_deref());
        matches!(
            said,
            (Some("ReplicaFailure"), Some("True")) | (Some("Progressing"), Some("False"))
        )
    });
    match stuck.and_then(|condition| condition.message.as_ref()) {
        Some(message) => Err(format!("the pod does not start: {message}")),
        None => starting(),
    }
}

fn verdict(
    broker: &PackageBroker,
    applied: &Applied,
    availability: &Result<(), String>,
    live: Option<&Result<Arc<Live>, AskError>>,
) -> Verdict {
    if let Err(message) = availability {
        return Verdict::Progressing(Reason::PodsNotReady, message.clone());
    }
    match live {
        None => Verdict::Progressing(Reason::Progressing, "the broker is being asked".to_owned()),
        Some(Err(error)) => Verdict::Retrying(Reason::PodsNotReady, error.to_string()),
        Some(Ok(live)) => match &live.manifests {
            Some(problem) => Verdict::Retrying(
                Reason::NotInForce,
                format!("the broker does not take what it was given: {problem}"),
            ),
            None => Verdict::Ready(served(broker, applied)),
        },
    }
}

fn served(broker: &PackageBroker, applied: &Applied) -> String {
    let summary = &applied.summary;
    let mut text = format!("serves {}", public_url(broker));
    if summary.refused > 0 {
        let refused = summary.refused.to_string();
        text.extend([
            "; ",
            &refused,
            " of its Repositories and AccessTokens cannot be used, their conditions say why",
        ]);
    }
    text
}

fn put(
    broker: &PackageBroker,
    status: PackageBrokerStatus,
    verdict: &Verdict,
    facts: &[Fact],
) -> PackageBrokerStatus {
    let generation = broker.metadata.generation;
    let before = broker.status.as_ref();
    let before = before.map_or(&[][..], |status| &status.conditions);
    PackageBrokerStatus {
        observed_generation: generation,
        conditions: conditions(before, generation, verdict, facts, Timestamp::now()),
        last_handled_reconcile_at: broker.annotations().get(RECONCILE_REQUESTED_AT).cloned(),
        ..status
    }
}

async fn tell(
    broker: &PackageBroker,
    now: &PackageBrokerStatus,
    context: &Context,
) -> Result<(), ReconcileError> {
    let before = broker.status.as_ref();
    if status::write(&context.client, broker, before, now).await? {
        reach("broker.status-written");
        let before = before.map_or(&[][..], |status| &status.conditions);
        context.events.tell(broker, before, &now.conditions).await;
        reach("broker.told");
    }
    Ok(())
}
