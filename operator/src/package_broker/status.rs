//! What is said of a `PackageBroker`.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{
    api::apps::v1::Deployment,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{Resource, ResourceExt, runtime::controller::Action};
use package_broker_crds::{
    ConditionType, MigrationStatus, PackageBroker, PackageBrokerStatus, RECONCILE_REQUESTED_AT,
    Reason,
};

use super::{
    apply::{Applied, OnServers},
    build::{BuildError, job::IMAGE, public_url, replicas, sync_request},
    migration::Migration,
    parts, pods,
    rows::Rows,
    servers::Fault,
};
use crate::{
    children::selector,
    context::Context,
    error::ReconcileError,
    member::local_name,
    runtime::{
        conditions::{Fact, Verdict, conditions},
        failpoint::reach,
        jobs,
        live::{AskError, Live, LiveServers},
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
        context.forget(&namespace, &broker.name_any());
        return Ok(Action::await_change());
    }
    let before = broker.status.clone().unwrap_or_default();
    let facts = parts::with_kept(Vec::new(), &before.conditions);
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
    let facts = parts::with_kept(Vec::new(), &before.conditions);
    let now = put(broker, before, &verdict, &facts);
    tell(broker, &now, context).await?;
    if is_too_large {
        return Ok(context.backoffs.settled(broker));
    }
    Err(error)
}

/// Says what is wrong with the servers that a spec names: what it has stays as it is.
pub(super) async fn refused(
    broker: &PackageBroker,
    faults: &[Fault],
    context: &Context,
) -> Result<Action, ReconcileError> {
    let before = broker.status.clone().unwrap_or_default();
    let facts = parts::with_kept(parts::of_faults(faults), &before.conditions);
    let now = put(broker, before, &parts::verdict_of_faults(faults), &facts);
    tell(broker, &now, context).await?;
    Ok(context.backoffs.settled(broker))
}

/// Writes what came of it.
pub(super) async fn write(
    broker: &PackageBroker,
    applied: Applied,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let deployment = applied.deployment.as_deref();
    let mut availability = availability(broker, deployment);
    if deployment.is_some()
        && let Err(message) = &mut availability
        && let Some(trouble) = pods::trouble(broker, context).await?
    {
        *message = trouble;
    }
    let live = match (&availability, &applied.servers) {
        (Ok(()), None) => Some(ask(broker, context).await),
        _ => None,
    };
    if live.is_some() {
        reach("broker.asked");
    }
    let said = match (&availability, &applied.servers) {
        (Ok(()), Some(_)) => {
            let url = status_url(broker, context);
            context.answers.ask_itself(&url).await.ok()
        }
        _ => None,
    };
    let (told, servers) = said.map_or((None, None), |(version, servers)| (Some(version), servers));
    let verdict = match &applied.servers {
        None => verdict(broker, &applied, &availability, live.as_ref()),
        Some(on) => over_servers(broker, &applied, on, &availability, servers.as_ref()),
    };
    let before = conditions_of(broker);
    let mut facts = applied
        .servers
        .as_ref()
        .map(|on| parts::of_servers(broker, on, servers.as_ref(), before))
        .unwrap_or_default();
    // Without a Deployment there is nothing to be available yet.
    if deployment.is_some() || applied.servers.is_none() {
        facts.push(available(&availability));
    }
    let version = match &live {
        Some(Ok(live)) => Some(live.version.clone()),
        _ => told,
    };
    let now = put(
        broker,
        summarised(broker, &applied, version, context),
        &verdict,
        &parts::with_kept(facts, before),
    );
    tell(broker, &now, context).await?;
    // Pods that are ready are found by their name a moment later.
    let is_unheard = now.version.is_none() && now.ready_replicas > Some(0);
    // A kind that is not installed may stay so for long.
    let is_on_its_way =
        verdict.is_unsettled() && applied.lacking.verdict.as_ref() != Some(&verdict);
    Ok(match verdict {
        Verdict::Retrying(..) if applied.servers.as_ref().is_some_and(has_failed) => {
            context.backoffs.failed(broker)
        }
        _ if is_on_its_way || is_unheard || is_busy(broker, live.as_ref(), context) => {
            context.backoffs.poll(broker)
        }
        _ => context.backoffs.watch(broker),
    })
}

fn available(availability: &Result<(), String>) -> Fact {
    let (holds, reason, message) = match availability {
        Ok(()) => (true, Reason::Succeeded, "the pods serve".to_owned()),
        Err(message) => (false, Reason::PodsNotReady, message.clone()),
    };
    Fact {
        type_: ConditionType::Available,
        holds,
        reason,
        message,
    }
}

/// The status but for its conditions.
fn summarised(
    broker: &PackageBroker,
    applied: &Applied,
    version: Option<String>,
    context: &Context,
) -> PackageBrokerStatus {
    let count = |number: usize| i32::try_from(number).ok();
    let before = broker.status.clone().unwrap_or_default();
    let summary = &applied.summary;
    let deployment = applied.deployment.as_ref();
    let status = deployment.and_then(|deployment| deployment.status.as_ref());
    let labels = selector(&broker.name_any()).into_iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    PackageBrokerStatus {
        url: Some(public_url(broker)),
        image: Some(summary.image.clone()),
        version: version.or(before.version),
        replicas: status.and_then(|status| status.replicas),
        ready_replicas: status.map(|status| status.ready_replicas.unwrap_or_default()),
        selector: Some(labels.join(",")),
        repositories: count(summary.repositories),
        access_tokens: count(summary.tokens),
        packages: packages(broker, context).or(before.packages),
        migration: applied
            .servers
            .as_ref()
            .and_then(migrated)
            .or(before.migration),
        ..before
    }
}

/// Packages of all repositories, as far as their syncs have said.
fn packages(broker: &PackageBroker, context: &Context) -> Option<i32> {
    let namespace = broker.namespace().unwrap_or_default();
    let live = context.answers.last(&namespace, &broker.name_any())?;
    let synced = live.repositories.values();
    let synced = synced.filter(|repository| repository.last_sync.is_some());
    Some(synced.map(|repository| repository.packages).sum())
}

fn migrated(servers: &OnServers) -> Option<MigrationStatus> {
    let Migration::Done(job) = &servers.migration else {
        return None;
    };
    Some(MigrationStatus {
        image: job.annotations().get(IMAGE)?.clone(),
        completed_at: jobs::ended_at(job).map(Time),
    })
}

fn conditions_of(broker: &PackageBroker) -> &[Condition] {
    let status = broker.status.as_ref();
    status.map_or(&[][..], |status| &status.conditions)
}

/// Whether nothing goes on until it is tried again.
fn has_failed(servers: &OnServers) -> bool {
    !matches!(servers.migration, Migration::Running(_)) || matches!(servers.rows, Rows::Failed(_))
}

fn over_servers(
    broker: &PackageBroker,
    applied: &Applied,
    servers: &OnServers,
    availability: &Result<(), String>,
    said: Option<&LiveServers>,
) -> Verdict {
    let generation = broker.metadata.generation;
    let trouble = parts::trouble(servers, conditions_of(broker), generation);
    match (trouble, availability) {
        (Some(trouble), _) => trouble,
        (None, Err(message)) => Verdict::Progressing(Reason::PodsNotReady, message.clone()),
        (None, Ok(())) => {
            let of_pods = said.and_then(parts::verdict_of_pods);
            of_pods.unwrap_or_else(|| reached(broker, applied))
        }
    }
}

/// Where the pods of a broker say how it goes.
fn status_url(broker: &PackageBroker, context: &Context) -> String {
    let namespace = broker.namespace().unwrap_or_default();
    context
        .status_url
        .replace("{name}", &broker.name_any())
        .replace("{namespace}", &namespace)
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
        let live = live.repository(&local_name(repository.as_ref()));
        live.is_some_and(|live| {
            live.generation != repository.metadata.generation
                || live.last_sync.is_none()
                || live.handled_sync_request != sync_request(repository)
        })
    });
    let of_tokens = tokens.iter().any(|token| {
        let live = live.token(&local_name(token.as_ref()));
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
    let url = status_url(broker, context);
    let (live, before) = context.answers.ask(&namespace, &name, &url).await?;
    let before = before.unwrap_or_default();
    context.pass_on(broker, &before, &live);
    Ok(live)
}

/// Whether the pods serve; if not, what is known of why.
fn availability(broker: &PackageBroker, deployment: Option<&Deployment>) -> Result<(), String> {
    let wanted = deployment
        .and_then(|deployment| deployment.spec.replicas)
        .unwrap_or_else(|| replicas(broker));
    let starting = |ready: i32| {
        Err(if wanted == 1 {
            "the pod is being started".to_owned()
        } else {
            format!("{ready} of {wanted} pods of this state are ready")
        })
    };
    let Some(status) = deployment.and_then(|deployment| deployment.status.as_ref()) else {
        return starting(0);
    };
    let generation = deployment.and_then(|deployment| deployment.metadata.generation);
    if status.observed_generation < generation {
        return starting(0);
    }
    let updated = status.updated_replicas.unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    // An autoscaler's pods come and go while others serve.
    let scaled = broker.spec.autoscaling.as_ref();
    let (least, most) = scaled.map_or((wanted, wanted), |scaled| {
        (wanted.min(scaled.min_replicas), wanted.max(updated))
    });
    // Those of before may still be about: they go when the new ones are there.
    if updated >= least && available >= least && status.replicas.unwrap_or_default() <= most {
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
        None => starting(updated.min(available)),
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
            None => reached(broker, applied),
        },
    }
}

/// The pods serve; whether clients reach them depends on what is around them.
fn reached(broker: &PackageBroker, applied: &Applied) -> Verdict {
    let lacking = applied.lacking.verdict.clone();
    lacking.unwrap_or_else(|| Verdict::Ready(served(broker, applied)))
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
    if let Some(note) = applied.lacking.note {
        text.extend(["; ", note]);
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
    PackageBrokerStatus {
        observed_generation: generation,
        conditions: conditions(
            conditions_of(broker),
            generation,
            verdict,
            facts,
            Timestamp::now(),
        ),
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
    if status::write(context, broker, before, now).await? {
        reach("broker.status-written");
        let before = conditions_of(broker);
        context.events.tell(broker, before, &now.conditions).await;
        reach("broker.told");
    }
    Ok(())
}
