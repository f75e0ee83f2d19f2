//! What the syncs of a broker depend on: its repositories as they are declared, Jobs, and what these said.

use std::{collections::HashMap, sync::Arc};

use k8s_openapi::api::batch::v1::Job;
use kube::{Resource, ResourceExt};
use package_broker_core::ports::database::SyncRequest;
use package_broker_crds::{PackageBroker, Repository};

use super::{
    LOST_AFTER,
    past::{Past, RECORDED, REPOSITORY, Report},
};
use crate::{
    children::INSTANCE,
    context::Context,
    database::RepositoryState,
    error::ReconcileError,
    member::local_name,
    package_broker::build::job::{COMPONENT, SYNC},
    runtime::jobs::{self, Progress},
};

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) repositories: Vec<Known>,
    /// Sync Jobs that are still to end.
    pub(super) running: usize,
    /// Sync Jobs that say nothing any more: a later one has ended.
    pub(super) superseded: Vec<Arc<Job>>,
    /// Requests in the database that Jobs meet, which are there already.
    pub(super) met: Vec<SyncRequest>,
}

/// What is known of a repository that is declared.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) repository: Arc<Repository>,
    pub(super) state: RepositoryState,
    /// The last sync that has ended.
    pub(super) past: Option<Past>,
    /// The Job that is still to end.
    pub(super) running: Option<String>,
    pub(super) is_stored: bool,
    /// The number of a request in the database.
    pub(super) recorded: Option<i64>,
}

/// Looks it up; nothing if nothing is declared.
pub(super) async fn dereference(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Option<Found>, ReconcileError> {
    let key = (broker.namespace().unwrap_or_default(), broker.name_any());
    let Some(opened) = context.databases.known(&key) else {
        return Ok(None);
    };
    let Some(declared) = opened.declared() else {
        return Ok(None);
    };
    let records = opened.records().await?;
    let requests = opened.requests().await?;
    let jobs = jobs_of(&key, context);
    let mut found = Found {
        met: met(&requests, &jobs),
        running: running(&key, &jobs, context),
        ..Found::default()
    };
    let mut sorted = sort(jobs, &mut found.superseded);
    for repository in context.repositories_of(broker) {
        let name = local_name(repository.as_ref());
        // One that is not declared yet, or in another state, comes when it is.
        let Some(state) = declared.repositories.get(&name) else {
            continue;
        };
        let Sorted { ended, running } = sorted.remove(&name).unwrap_or_default();
        let past = match ended {
            Some(job) => Some(past(&job, context).await?),
            None => Past::of_status(&repository),
        };
        found.repositories.push(Known {
            state: state.clone(),
            past,
            running: running.map(|job| job.name_any()),
            is_stored: records.get(&name).copied().unwrap_or_default(),
            recorded: requests
                .iter()
                .find(|request| request.repository.as_str() == name)
                .map(|request| request.number),
            repository,
        });
    }
    Ok(Some(found))
}

/// The sync Jobs of a broker that are not going.
fn jobs_of((namespace, name): &(String, String), context: &Context) -> Vec<Arc<Job>> {
    let mut jobs = context.children.jobs.state();
    jobs.retain(|job| {
        let of = |label: &str| job.labels().get(label).map(String::as_str);
        job.namespace().as_deref() == Some(namespace)
            && of(INSTANCE) == Some(name)
            && of(COMPONENT) == Some(SYNC)
            && job.meta().deletion_timestamp.is_none()
    });
    jobs
}

/// How many of them run, with those that were made and are not seen yet.
fn running(key: &(String, String), jobs: &[Arc<Job>], context: &Context) -> usize {
    let mut unseen = context.syncs.unseen.all();
    unseen.retain(|(namespace, name), since| {
        let is_seen = namespace == &key.0 && jobs.iter().any(|job| &job.name_any() == name);
        !is_seen && since.elapsed() < LOST_AFTER
    });
    let here = unseen.keys().filter(|(namespace, _)| namespace == &key.0);
    let seen = jobs
        .iter()
        .filter(|job| jobs::progress(job) == Progress::Running);
    here.count() + seen.count()
}

/// Requests for which there is a Job.
fn met(requests: &[SyncRequest], jobs: &[Arc<Job>]) -> Vec<SyncRequest> {
    let is_met = |request: &&SyncRequest| {
        jobs.iter().any(|job| {
            let of = job.labels().get(REPOSITORY).map(String::as_str);
            let number = job.annotations().get(RECORDED).map(String::as_str);
            of == Some(request.repository.as_str()) && number == Some(&*request.number.to_string())
        })
    };
    requests.iter().filter(is_met).cloned().collect()
}

/// The Jobs of a repository that matter.
#[derive(Debug, Default)]
struct Sorted {
    /// The last that has ended.
    ended: Option<Arc<Job>>,
    running: Option<Arc<Job>>,
}

/// Jobs by repository; those that do not matter any more go to `superseded`.
fn sort(mut jobs: Vec<Arc<Job>>, superseded: &mut Vec<Arc<Job>>) -> HashMap<String, Sorted> {
    jobs.sort_by_key(|job| (job.metadata.creation_timestamp.clone(), job.name_any()));
    let mut sorted: HashMap<String, Sorted> = HashMap::new();
    for job in jobs {
        let Some(repository) = job.labels().get(REPOSITORY).cloned() else {
            continue;
        };
        let of_repository = sorted.entry(repository).or_default();
        if jobs::progress(&job) == Progress::Running {
            of_repository.running = Some(job);
        } else {
            superseded.extend(of_repository.ended.replace(job));
        }
    }
    sorted
}

/// A sync that has ended, with what its pod said.
async fn past(job: &Job, context: &Context) -> Result<Past, ReconcileError> {
    let uid = job.uid().unwrap_or_default();
    if let Some(report) = context.syncs.reports.get(&uid) {
        return Ok(Past::of_job(job, report));
    }
    let said = jobs::said(&context.client, job).await?;
    let report = Arc::new(Report::of(job, said.as_deref()));
    context.syncs.reports.note(uid, Arc::clone(&report));
    Ok(Past::of_job(job, report))
}
