//! What is said of the servers of a `PackageBroker`: one condition each. Pure: no client.

use k8s_openapi::{api::batch::v1::Job, apimachinery::pkg::apis::meta::v1::Condition};
use package_broker_crds::{ConditionType, PackageBroker, Reason};

use super::{
    apply::OnServers,
    migration::{Failure, Migration, Report},
    rows::Rows,
    servers::Fault,
};
use crate::runtime::{
    conditions::{Fact, Verdict, find},
    jobs,
    live::{LiveServers, Part},
};

/// Conditions that a look may leave as they were.
const KEPT: [(ConditionType, Reason); 5] = [
    (ConditionType::Available, Reason::PodsNotReady),
    (ConditionType::DatabaseReady, Reason::DatabaseUnavailable),
    (ConditionType::StorageReady, Reason::StorageUnavailable),
    (ConditionType::CacheReady, Reason::CacheUnavailable),
    (ConditionType::Migrated, Reason::MigrationFailed),
];

/// These facts, with what was found out before of all else.
pub(super) fn with_kept(mut facts: Vec<Fact>, before: &[Condition]) -> Vec<Fact> {
    for (type_, reason) in KEPT {
        if facts.iter().any(|fact| fact.type_ == type_) {
            continue;
        }
        facts.extend(find(before, type_).map(|known| {
            let holds = known.status == "True";
            Fact {
                type_,
                holds,
                reason: if holds { Reason::Succeeded } else { reason },
                message: known.message.clone(),
            }
        }));
    }
    facts
}

/// What faults in the spec, or in the Secrets it names, mean for each part.
pub(super) fn of_faults(faults: &[Fault]) -> Vec<Fact> {
    let mut facts: Vec<Fact> = Vec::new();
    for fault in faults {
        let Some(type_) = fault.part else { continue };
        if facts.iter().all(|fact| fact.type_ != type_) {
            facts.push(Fact {
                type_,
                holds: false,
                reason: fault.refusal.reason,
                message: fault.refusal.message.clone(),
            });
        }
    }
    facts
}

/// What faults mean for the whole: what is not there may still come.
pub(super) fn verdict_of_faults(faults: &[Fault]) -> Verdict {
    let mut verdicts = faults.iter().map(|fault| fault.refusal.clone().verdict());
    let lasting = verdicts
        .clone()
        .find(|verdict| matches!(verdict, Verdict::Stalled(..)));
    let first = lasting.or_else(|| verdicts.next());
    first.unwrap_or_else(|| Verdict::Progressing(Reason::Progressing, String::new()))
}

/// What a look at the servers found: `said` is what a pod says of those beside the database, and `before` what was known
/// of them.
pub(super) fn of_servers(
    broker: &PackageBroker,
    servers: &OnServers,
    said: Option<&LiveServers>,
    before: &[Condition],
) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut say = |type_, error: Option<&str>, reason, good: &str| {
        facts.push(Fact {
            type_,
            holds: error.is_none(),
            reason: if error.is_none() {
                Reason::Succeeded
            } else {
                reason
            },
            message: error.unwrap_or(good).to_owned(),
        });
    };
    let report = match &servers.migration {
        Migration::Failed(Failure::Told(report)) => Some(report),
        _ => None,
    };
    let error =
        |part: fn(&Report) -> &Option<String>| report.and_then(|report| part(report).as_deref());
    let database = match &servers.rows {
        Rows::Failed(error) => Some(error.as_str()),
        _ => error(|report| &report.database.error),
    };
    let good = "the database answers";
    let reason = Reason::DatabaseUnavailable;
    say(ConditionType::DatabaseReady, database, reason, good);
    let (reason, migrated) = migrated(servers);
    let good = "the database has the tables of the release that runs";
    say(ConditionType::Migrated, migrated.as_deref(), reason, good);
    // Pods know best, as they go on asking. Before them, the Job has asked; until it has, nobody knows.
    let error = |of_pod: fn(&LiveServers) -> &Part, of_job: fn(&Report) -> &Part, type_| match (
        said,
        report,
        &servers.migration,
    ) {
        (Some(said), ..) => Some(of_pod(said).error.as_deref()),
        (None, Some(report), _) => Some(of_job(report).error.as_deref()),
        (None, None, Migration::Done(job)) if is_news(job, find(before, type_)) => Some(None),
        (None, None, _) => None,
    };
    let type_ = ConditionType::StorageReady;
    if let Some(storage) = error(|said| &said.storage, |report| &report.storage, type_) {
        let reason = Reason::StorageUnavailable;
        say(type_, storage, reason, "the bucket can be used");
    }
    let type_ = ConditionType::CacheReady;
    if broker.spec.cache.is_some()
        && let Some(cache) = error(|said| &said.cache, |report| &report.cache, type_)
    {
        let reason = Reason::CacheUnavailable;
        say(type_, cache, reason, "Redis can be used");
    }
    facts
}

/// Whether a Job that succeeded says something that is not known: it ended after the servers were last found wanting.
fn is_news(job: &Job, known: Option<&Condition>) -> bool {
    let Some(known) = known else { return true };
    let ended = jobs::ended_at(job);
    known.status != "True" && ended.is_some_and(|ended| ended >= known.last_transition_time.0)
}

/// What servers beside the database mean for the whole. Without Redis all goes on but counting of requests.
pub(super) fn verdict_of_pods(said: &LiveServers) -> Option<Verdict> {
    let error = said.storage.error.as_ref()?;
    let message = format!("archives cannot be had: {error}");
    Some(Verdict::Retrying(Reason::StorageUnavailable, message))
}

/// Why the database is not ready for the release that is to run; nothing if it is.
fn migrated(servers: &OnServers) -> (Reason, Option<String>) {
    let failed = |message: &str| (Reason::MigrationFailed, Some(message.to_owned()));
    match (&servers.migration, &servers.rows) {
        (Migration::Running(_), _) => (Reason::Progressing, Some(MIGRATING.to_owned())),
        (Migration::Failed(Failure::Untold(said)), _) => failed(&untold(said)),
        (Migration::Failed(Failure::Told(report)), _) => {
            // The others say for themselves what is wrong with them.
            let own = report.database.error.as_ref();
            match own.or(report.encryption.error.as_ref()) {
                Some(error) => failed(error),
                None => (Reason::Succeeded, None),
            }
        }
        (Migration::Done(_), Rows::NoTables) => failed(NO_TABLES),
        (Migration::Done(_), Rows::OldTables) => failed(OLD_TABLES),
        (Migration::Done(_), Rows::Declared | Rows::Failed(_)) => (Reason::Succeeded, None),
    }
}

const MIGRATING: &str = "the database is being brought up to the release that is to run";
const NO_TABLES: &str = "the database has no tables any more; they are being made again";
const OLD_TABLES: &str = "the tables are of an older release than this operator; choose an image of this release or a later one in spec.image, or leave it out";

fn untold(said: &str) -> String {
    let said = said.trim();
    let said = if said.is_empty() {
        "it says nothing"
    } else {
        said
    };
    format!("the migration Job failed: {said}")
}

/// What a Job that failed is said to have failed by until it has been done again. Of the database, the operator knows better.
const STANDING: [Reason; 3] = [
    Reason::StorageUnavailable,
    Reason::CacheUnavailable,
    Reason::MigrationFailed,
];

/// What the Job said before that is being done again, for the same spec: told once, however often it is tried.
fn standing(ready: Option<&Condition>, generation: Option<i64>) -> Option<Verdict> {
    let known = ready.filter(|ready| ready.observed_generation == generation)?;
    let mut reasons = STANDING.into_iter();
    let reason = reasons.find(|reason| reason.as_str() == known.reason)?;
    Some(Verdict::Retrying(reason, known.message.clone()))
}

/// What keeps pods over servers from being as they should be; nothing if all is well. `before` are the broker's conditions
/// until now.
pub(super) fn trouble(
    servers: &OnServers,
    before: &[Condition],
    generation: Option<i64>,
) -> Option<Verdict> {
    let verdict = match (&servers.migration, &servers.rows) {
        (Migration::Running(Some(trouble)), _) => {
            let message = format!("the migration Job does not run: {trouble}");
            Verdict::Progressing(Reason::PodsNotReady, message)
        }
        (_, Rows::Failed(error)) => Verdict::Retrying(Reason::DatabaseUnavailable, error.clone()),
        (Migration::Failed(Failure::Untold(said)), _) => {
            Verdict::Retrying(Reason::MigrationFailed, untold(said))
        }
        (Migration::Failed(Failure::Told(report)), _) => {
            let (reason, message) = first(report);
            Verdict::Retrying(reason, message)
        }
        (Migration::Running(None), _) => {
            let standing = standing(find(before, ConditionType::Ready), generation);
            let begun = || Verdict::Progressing(Reason::Progressing, MIGRATING.to_owned());
            standing.unwrap_or_else(begun)
        }
        (Migration::Done(_), Rows::NoTables) => {
            Verdict::Progressing(Reason::Progressing, NO_TABLES.to_owned())
        }
        (Migration::Done(_), Rows::OldTables) => {
            Verdict::Stalled(Reason::MigrationFailed, OLD_TABLES.to_owned())
        }
        (Migration::Done(_), Rows::Declared) => return None,
    };
    Some(verdict)
}

/// The first thing that is wrong.
fn first(report: &Report) -> (Reason, String) {
    let parts = [
        (Reason::DatabaseUnavailable, &report.database),
        (Reason::StorageUnavailable, &report.storage),
        (Reason::CacheUnavailable, &report.cache),
        (Reason::MigrationFailed, &report.encryption),
    ];
    let wrong = parts
        .into_iter()
        .find_map(|(reason, part)| Some((reason, part.error.clone()?)));
    wrong.unwrap_or((Reason::MigrationFailed, untold("")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::runtime::conditions::conditions;

    fn told(storage: &str) -> Migration {
        let storage = Part {
            error: Some(storage.to_owned()),
        };
        Migration::Failed(Failure::Told(Report {
            storage,
            ..Report::default()
        }))
    }

    /// Each state in short: what `Ready` says, and each condition with its status.
    fn said(migration: Migration, rows: Rows) -> String {
        let broker = json!({
            "apiVersion": "package.broker/v1alpha1", "kind": "PackageBroker", "metadata": {"name": "main"},
            "spec": {"cache": {"redis": {"secretRef": {"name": "redis"}}}},
        });
        let broker: PackageBroker = serde_json::from_value(broker).unwrap();
        let servers = OnServers { migration, rows };
        let verdict = match trouble(&servers, &[], Some(1)) {
            None => "Ready".to_owned(),
            Some(Verdict::Progressing(reason, _)) => format!("Progressing {}", reason.as_str()),
            Some(Verdict::Retrying(reason, _)) => format!("Retrying {}", reason.as_str()),
            Some(Verdict::Stalled(reason, _)) => format!("Stalled {}", reason.as_str()),
            Some(other) => format!("{other:?}"),
        };
        let facts = of_servers(&broker, &servers, None, &[])
            .into_iter()
            .map(|fact| {
                let sign = if fact.holds { '+' } else { '-' };
                format!(" {sign}{}", fact.type_.as_str())
            });
        verdict + &facts.collect::<String>()
    }

    #[test]
    fn each_state_of_the_servers_is_told() {
        let done = || Migration::Done(Arc::default());
        let lost = || Rows::Failed("no answer".to_owned());
        let image = || Migration::Running(Some("no such image".to_owned()));
        for (migration, rows, expected) in [
            (
                done(),
                Rows::Declared,
                "Ready +DatabaseReady +Migrated +StorageReady +CacheReady",
            ),
            (
                done(),
                lost(),
                "Retrying DatabaseUnavailable -DatabaseReady +Migrated +StorageReady +CacheReady",
            ),
            (
                done(),
                Rows::NoTables,
                "Progressing Progressing +DatabaseReady -Migrated +StorageReady +CacheReady",
            ),
            (
                done(),
                Rows::OldTables,
                "Stalled MigrationFailed +DatabaseReady -Migrated +StorageReady +CacheReady",
            ),
            (
                Migration::Running(None),
                Rows::NoTables,
                "Progressing Progressing +DatabaseReady -Migrated",
            ),
            (
                Migration::Running(None),
                lost(),
                "Retrying DatabaseUnavailable -DatabaseReady -Migrated",
            ),
            (
                image(),
                Rows::Declared,
                "Progressing PodsNotReady +DatabaseReady -Migrated",
            ),
            (
                told("no such bucket"),
                Rows::Declared,
                "Retrying StorageUnavailable +DatabaseReady +Migrated -StorageReady +CacheReady",
            ),
            (
                Migration::Failed(Failure::Untold(String::new())),
                Rows::Declared,
                "Retrying MigrationFailed +DatabaseReady -Migrated",
            ),
        ] {
            assert_eq!(said(migration, rows), expected);
        }
    }

    #[test]
    fn what_failed_stands_while_it_is_done_again_for_the_same_spec() {
        let told = |reason: Reason| {
            let verdict = Verdict::Retrying(reason, "as before".to_owned());
            conditions(&[], Some(2), &verdict, &[], Timestamp::now())
        };
        for (reason, generation, stands) in [
            (Reason::StorageUnavailable, 2, true),
            (Reason::MigrationFailed, 2, true),
            (Reason::StorageUnavailable, 3, false),
            (Reason::DatabaseUnavailable, 2, false),
        ] {
            let servers = OnServers {
                migration: Migration::Running(None),
                rows: Rows::NoTables,
            };
            let found = trouble(&servers, &told(reason), Some(generation));
            let expected = if stands {
                Verdict::Retrying(reason, "as before".to_owned())
            } else {
                Verdict::Progressing(Reason::Progressing, MIGRATING.to_owned())
            };
            assert_eq!(found, Some(expected), "{reason:?} {generation}");
        }
    }
}
