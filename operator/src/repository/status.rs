//! What is said of a `Repository`.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{ResourceExt, runtime::controller::Action};
use package_broker_crds::{
    ConditionType, RECONCILE_REQUESTED_AT, Reason, Repository, RepositoryStatus,
};
use package_broker_kinds::webhook;

use super::{credentials_version, dereference::Found, validate::credentials_valid};
use crate::{
    context::Context,
    error::ReconcileError,
    member::local_name,
    package_broker::build::sync_request,
    runtime::{
        conditions::{Fact, Verdict, conditions},
        failpoint::reach,
        live::LiveRepository,
        status,
    },
};

/// Writes it. Whoever is not ready is looked at again when its broker says something new of it.
pub(super) async fn write(
    repository: &Repository,
    found: &Found,
    verdict: Verdict,
    context: &Context,
) -> Result<Action, ReconcileError> {
    let name = local_name(repository);
    let live = found.live.as_ref().and_then(|live| live.repository(&name));
    let before = repository.status.as_ref();
    let version = credentials_version(repository, context);
    let now = put(repository, found, live, (&verdict, version));
    if status::write(context, repository, before, &now).await? {
        reach("repository.status-written");
        let before = before.map_or(&[][..], |status| &status.conditions);
        context
            .events
            .tell(repository, before, &now.conditions)
            .await;
        reach("repository.told");
    }
    Ok(context.backoffs.settled(repository))
}

fn put(
    repository: &Repository,
    found: &Found,
    live: Option<&LiveRepository>,
    (verdict, secret_version): (&Verdict, Option<String>),
) -> RepositoryStatus {
    let generation = repository.metadata.generation;
    let before = repository.status.clone().unwrap_or_default();
    let last = live.and_then(|live| live.last_sync.as_ref());
    let synced = last.map(|last| Fact {
        type_: ConditionType::Synced,
        holds: last.error.is_none(),
        reason: match last.error {
            None => Reason::Succeeded,
            Some(_) => Reason::SyncFailed,
        },
        message: last
            .error
            .clone()
            .unwrap_or_else(|| "the last sync succeeded".to_owned()),
    });
    let succeeded = last.filter(|last| last.error.is_none());
    let succeeded = succeeded.map(|last| whole_second(last.started));
    let asked = sync_request(repository);
    let is_handled = asked.is_none() || live.is_some_and(|live| live.handled_sync_request == asked);
    let valid = credentials_valid(repository, &found.secrets);
    let facts: Vec<Fact> = synced.into_iter().chain(valid).collect();
    let jobs = live.and_then(|live| live.jobs.as_ref());
    let number = |number: u32| i32::try_from(number).ok();
    RepositoryStatus {
        observed_generation: generation,
        conditions: conditions(
            &before.conditions,
            generation,
            verdict,
            &facts,
            Timestamp::now(),
        ),
        last_handled_reconcile_at: if is_handled {
            repository
                .annotations()
                .get(RECONCILE_REQUESTED_AT)
                .cloned()
        } else {
            before.last_handled_reconcile_at
        },
        last_sync_time: succeeded.or(before.last_sync_time),
        last_attempt_time: last
            .map(|last| whole_second(last.started))
            .or(before.last_attempt_time),
        next_sync_time: jobs.and_then(|jobs| jobs.next).map(whole_second),
        consecutive_failures: jobs.and_then(|jobs| number(jobs.failures)),
        job: jobs.and_then(|jobs| jobs.last.clone()),
        packages: live.map(|live| live.packages).or(before.packages),
        versions: live.map(|live| live.versions).or(before.versions),
        skipped: live
            .and_then(|live| i32::try_from(live.skipped).ok())
            .or(before.skipped),
        observed_secret_version: secret_version,
        revision: last
            .and_then(|last| last.revision.clone())
            .or(before.revision),
        webhook_path: repository
            .spec
            .webhook
            .as_ref()
            .map(|_| webhook::path(&local_name(repository))),
    }
}

/// Times in Kubernetes have no fractions.
fn whole_second(time: Timestamp) -> Time {
    Time(Timestamp::from_second(time.as_second()).unwrap_or(time))
}
