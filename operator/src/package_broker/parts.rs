//! What is said of the servers of a `PackageBroker`: one condition each. Pure: no client.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use package_broker_crds::{ConditionType, PackageBroker, Reason};

use super::{
    apply::OnServers,
    migration::{Failure, Migration, Report},
    rows::Rows,
    servers::Fault,
};
use crate::runtime::conditions::{Fact, Verdict, find};

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

/// What a look at the servers found.
pub(super) fn of_servers(broker: &PackageBroker, servers: &OnServers) -> Vec<Fact> {
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
        Migration::Done(_) => None,
        Migration::Running(_) | Migration::Failed(Failure::Untold(_)) => {
            let (reason, message) = match &servers.migration {
                Migration::Failed(Failure::Untold(said)) => (Reason::MigrationFailed, untold(said)),
                _ => (Reason::Progressing, MIGRATING.to_owned()),
            };
            say(ConditionType::Migrated, Some(&message), reason, "");
            return facts;
        }
    };
    let error =
        |part: fn(&Report) -> &Option<String>| report.and_then(|report| part(report).as_deref());
    let database = match &servers.rows {
        Some(Rows::Failed(error)) => Some(error.as_str()),
        _ => error(|report| &report.database.error),
    };
    say(
        ConditionType::DatabaseReady,
        database,
        Reason::DatabaseUnavailable,
        "the database answers",
    );
    say(
        ConditionType::StorageReady,
        error(|report| &report.storage.error),
        Reason::StorageUnavailable,
        "the bucket can be used",
    );
    if broker.spec.cache.is_some() {
        say(
            ConditionType::CacheReady,
            error(|report| &report.cache.error),
            Reason::CacheUnavailable,
            "Redis can be used",
        );
    }
    let migrated = match &servers.rows {
        Some(Rows::NoTables) => Some(NO_TABLES),
        Some(Rows::OldTables) => Some(OLD_TABLES),
        _ => database.filter(|_| report.is_some()),
    };
    say(
        ConditionType::Migrated,
        migrated,
        Reason::MigrationFailed,
        "the database has the tables of the release that runs",
    );
    facts
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

/// What keeps pods over servers from being as they should be; nothing if all is well.
pub(super) fn trouble(servers: &OnServers) -> Option<Verdict> {
    let verdict = match (&servers.migration, &servers.rows) {
        (Migration::Running(None), None) => {
            Verdict::Progressing(Reason::Progressing, MIGRATING.to_owned())
        }
        (Migration::Running(Some(trouble)), None) => {
            let message = format!("the migration Job does not run: {trouble}");
            Verdict::Progressing(Reason::PodsNotReady, message)
        }
        (Migration::Failed(Failure::Untold(said)), _) => {
            Verdict::Retrying(Reason::MigrationFailed, untold(said))
        }
        (Migration::Failed(Failure::Told(report)), _) => {
            let (reason, message) = first(report);
            Verdict::Retrying(reason, message)
        }
        (Migration::Running(_), Some(_)) | (_, Some(Rows::NoTables)) => {
            Verdict::Progressing(Reason::Progressing, NO_TABLES.to_owned())
        }
        (_, Some(Rows::OldTables)) => {
            Verdict::Stalled(Reason::MigrationFailed, OLD_TABLES.to_owned())
        }
        (_, Some(Rows::Failed(error))) => {
            Verdict::Retrying(Reason::DatabaseUnavailable, error.clone())
        }
        (Migration::Done(_), Some(Rows::Declared) | None) => return None,
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
