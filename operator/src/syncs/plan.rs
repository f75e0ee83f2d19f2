//! What is to be started now, and what is to be said. Pure: no client, no clock.

use std::sync::Arc;

use jiff::Timestamp;
use package_broker_crds::{PackageBroker, Repository};

use super::{
    dereference::{Found, Known},
    due::{Due, Facts, due},
    past::Met,
};
use crate::{
    database::RepositoryState,
    member::local_name,
    package_broker::build::sync_request,
    runtime::live::{LastSync, LiveJobs, LiveRepository},
};

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Repositories to sync, the longest due first.
    pub(super) start: Vec<Start>,
    /// When to look again.
    pub(super) next: Option<Timestamp>,
    /// How it stands with each repository.
    pub(super) live: Vec<LiveRepository>,
}

/// A sync that is to begin.
#[derive(Clone, Debug)]
pub(super) struct Start {
    pub(super) repository: Arc<Repository>,
    pub(super) state: RepositoryState,
    /// What asked for it besides the interval.
    pub(super) request: Option<String>,
    /// The request in the database that it meets.
    pub(super) recorded: Option<i64>,
    /// Failures in a row before it.
    pub(super) failures: u32,
    /// When the one before it began.
    pub(super) after: Option<Timestamp>,
}

/// Decides.
pub(super) fn plan(broker: &PackageBroker, found: &Found, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let mut waiting: Vec<(Timestamp, Start)> = Vec::new();
    for known in &found.repositories {
        let when = due(facts(known));
        let next = match when {
            Due::Now => Some(now),
            Due::At(time) => Some(time),
            Due::Never => None,
        };
        plan.live.push(live(known, next.filter(|next| *next > now)));
        match next {
            Some(time) if time <= now => waiting.push((since(known, when), start(known))),
            Some(time) => plan.next = Some(plan.next.map_or(time, |next| next.min(time))),
            None => {}
        }
    }
    waiting.sort_by_key(|(since, start)| (*since, local_name(start.repository.as_ref())));
    let most = usize::try_from(broker.spec.sync.max_concurrent).unwrap_or(1);
    let room = most.saturating_sub(found.running);
    let start = waiting.into_iter().take(room).map(|(_, start)| start);
    // Those for which there is no room are looked at again when a Job ends.
    plan.start = start.collect();
    plan
}

fn facts(known: &Known) -> Facts<'_> {
    Facts {
        repository: &known.repository,
        state: &known.state,
        past: known.past.as_ref(),
        is_running: known.running.is_some(),
        is_stored: known.is_stored,
        recorded: known.recorded,
    }
}

/// Since when it has been due, as far as that matters for whose turn it is: what was never synced comes first.
fn since(known: &Known, when: Due) -> Timestamp {
    match (&known.past, when) {
        (None, _) => Timestamp::UNIX_EPOCH,
        (Some(_), Due::At(time)) => time,
        (Some(past), _) => past.started,
    }
}

fn start(known: &Known) -> Start {
    let past = known.past.as_ref();
    Start {
        repository: Arc::clone(&known.repository),
        state: known.state.clone(),
        request: sync_request(&known.repository),
        recorded: known.recorded,
        // Whatever failed before failed under other settings.
        failures: past
            .filter(|past| past.is_of(&known.state))
            .map_or(0, |past| past.failures),
        after: past.map(|past| past.started),
    }
}

fn live(known: &Known, next: Option<Timestamp>) -> LiveRepository {
    let past = known.past.as_ref();
    let counts = past.map(|past| &past.report);
    let status = known.repository.status.as_ref();
    // What a sync of other settings said, or of a database that is gone, says nothing of these.
    let last = past
        .filter(|past| past.is_of(&known.state))
        .filter(|past| past.report.error.is_some() || known.is_stored);
    LiveRepository {
        name: local_name(known.repository.as_ref()),
        generation: known.state.generation,
        packages: counts
            .and_then(|report| report.packages)
            .or_else(|| status?.packages)
            .unwrap_or_default(),
        versions: counts
            .and_then(|report| report.versions)
            .or_else(|| status?.versions)
            .unwrap_or_default(),
        skipped: counts.and_then(|report| report.skipped).unwrap_or_default(),
        last_sync: last.map(|past| LastSync {
            started: past.report.started.unwrap_or(past.started),
            error: past.report.error.clone(),
            lasting: past.report.lasting,
            revision: past.report.revision.clone(),
        }),
        handled_sync_request: handled(known),
        jobs: Some(LiveJobs {
            last: known
                .running
                .clone()
                .or_else(|| past.and_then(|past| past.job.clone())),
            is_running: known.running.is_some(),
            next,
            failures: past.map_or(0, |past| past.failures),
        }),
    }
}

/// The request that is met.
fn handled(known: &Known) -> Option<String> {
    let past = known.past.as_ref()?;
    let asked = sync_request(&known.repository);
    match &past.request {
        Met::Known(met) => met.clone(),
        Met::Forgotten => asked,
    }
}
