//! When a repository is to be synced. Pure: no client, no clock.

use std::time::Duration;

use jiff::Timestamp;
use package_broker_core::domain::cadence::Outcome;
use package_broker_crds::Repository;
use package_broker_kinds::RepositorySecrets;

use super::past::Past;
use crate::{database::RepositoryState, package_broker::build::sync_request};

/// When.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Now: since it was asked for, or never was done.
    Now,
    /// At a time.
    At(Timestamp),
    /// Not before something changes.
    Never,
}

/// What is known of a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    pub(super) repository: &'a Repository,
    /// What is declared of it.
    pub(super) state: &'a RepositoryState,
    /// The last sync that has ended.
    pub(super) past: Option<&'a Past>,
    /// Whether one is under way.
    pub(super) is_running: bool,
    /// Whether the database has what a sync has read.
    pub(super) is_stored: bool,
    /// The number of a request in the database.
    pub(super) recorded: Option<i64>,
}

/// When the next sync is due.
pub(super) fn due(facts: Facts<'_>) -> Due {
    // The end of one that runs is a change.
    if facts.repository.spec.suspend || facts.is_running {
        return Due::Never;
    }
    let Some(past) = facts.past else {
        return Due::Now;
    };
    let report = &past.report;
    let is_asked = !past.met(sync_request(facts.repository).as_deref())
        || facts.recorded.is_some() && facts.recorded != past.recorded;
    if is_asked || !past.is_of(facts.state) {
        return Due::Now;
    }
    let outcome = match &report.error {
        None if !facts.is_stored => return Due::Now,
        None => Outcome::Succeeded,
        Some(_) => Outcome::Failed {
            in_a_row: past.failures,
            lasting: report.lasting,
            retry_after: report.retry_after.map(Duration::from_secs),
        },
    };
    let repository =
        package_broker_kinds::repository(facts.repository, &RepositorySecrets::default());
    let next = repository
        .cadence
        .next(&repository.name, past.ended, outcome);
    Due::At(next)
}
