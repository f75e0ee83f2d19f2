//! The Job that brings a database up to the release that is to run, before that runs.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::{Resource, ResourceExt, runtime::reflector::ObjectRef};
use serde::Deserialize;

use super::{
    build::job::{COMPONENT, MIGRATION},
    pods,
};
use crate::{
    children::INSTANCE,
    context::Context,
    error::ReconcileError,
    runtime::{
        failpoint::reach,
        jobs::{self, Progress},
        live::Part,
        remembered::Remembered,
    },
};

/// The first wait before a Job that failed is made again; it doubles with each further one.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// Jobs whose failures are remembered, at most; when there are so many, all begin anew.
const MOST: usize = 10_000;

/// How often each Job was made again, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Attempts(Remembered<(String, String), u32, MOST>);

/// How it stands with the database's tables.
#[derive(Debug)]
pub(super) enum Migration {
    /// The Job is still to end; with what keeps its pod from it.
    Running(Option<String>),
    /// It failed. It is made again by and by.
    Failed(Failure),
    /// All is as this release needs it.
    Done(Arc<Job>),
}

/// Why a Job failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// In its own words.
    Told(Report),
    /// In those of Kubernetes.
    Untold(String),
}

/// What the Job says of each part.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Report {
    pub(super) database: Part,
    pub(super) storage: Part,
    pub(super) cache: Part,
    pub(super) encryption: Part,
}

impl Migration {
    /// Whether pods of this release may start.
    pub(super) fn is_done(&self) -> bool {
        matches!(self, Self::Done(_))
    }

    /// Has it done once more.
    pub(super) async fn again(self, context: &Context) -> Result<Self, ReconcileError> {
        if let Self::Done(job) = &self {
            jobs::delete(&context.client, job).await?;
        }
        Ok(Self::Running(None))
    }
}

/// Has the Job made if there is none of it yet, and looks how it goes.
pub(super) async fn apply(wanted: &Job, context: &Context) -> Result<Migration, ReconcileError> {
    let namespace = wanted.namespace().unwrap_or_default();
    let name = wanted.name_any();
    let present = ObjectRef::new(&name).within(&namespace);
    let Some(job) = context.children.jobs.get(&present) else {
        jobs::create(&context.client, wanted).await?;
        reach("broker.migration-begun");
        return Ok(Migration::Running(None));
    };
    if job.meta().deletion_timestamp.is_some() {
        return Ok(Migration::Running(None));
    }
    match jobs::progress(&job) {
        Progress::Running => {
            let label = format!("batch.kubernetes.io/job-name={name}");
            let trouble = pods::trouble_of(&namespace, &label, context).await?;
            Ok(Migration::Running(trouble))
        }
        Progress::Failed => {
            let failure = failure(&job, context).await?;
            if context.attempts.is_due(&job) {
                jobs::delete(&context.client, &job).await?;
            }
            Ok(Migration::Failed(failure))
        }
        Progress::Succeeded => {
            context.attempts.forget(&job);
            remove_others(&job, context).await?;
            Ok(Migration::Done(job))
        }
    }
}

async fn failure(job: &Job, context: &Context) -> Result<Failure, ReconcileError> {
    let said = jobs::said(&context.client, job).await?;
    let report = said.as_deref().map(serde_json::from_str::<Report>);
    if let Some(Ok(report)) = report {
        return Ok(Failure::Told(report));
    }
    let complaint = jobs::complaint(job).unwrap_or_default();
    Ok(Failure::Untold(said.unwrap_or(complaint)))
}

/// Jobs of images and configurations that no longer matter.
async fn remove_others(job: &Job, context: &Context) -> Result<(), ReconcileError> {
    let broker = job.labels().get(INSTANCE);
    for other in context.children.jobs.state() {
        let of = |label: &str| other.labels().get(label);
        if other.namespace() == job.namespace()
            && of(INSTANCE) == broker
            && of(COMPONENT).is_some_and(|component| component == MIGRATION)
            && other.name_any() != job.name_any()
            && other.meta().deletion_timestamp.is_none()
        {
            jobs::delete(&context.client, &other).await?;
            reach("broker.migration-removed");
        }
    }
    Ok(())
}

impl Attempts {
    /// Whether a Job that failed has waited long enough; if so, this counts as the next attempt.
    fn is_due(&self, job: &Job) -> bool {
        let mut attempts = self.0.with_room();
        let count = attempts.entry(key(job)).or_default();
        let since = jobs::ended_at(job).map(|end| Timestamp::now().duration_since(end));
        let since = since.and_then(|since| Duration::try_from(since).ok());
        let is_due = since.unwrap_or(LONGEST_WAIT) >= wait(*count);
        *count += u32::from(is_due);
        is_due
    }

    fn forget(&self, job: &Job) {
        self.0.forget(&key(job));
    }
}

fn key(job: &Job) -> (String, String) {
    (job.namespace().unwrap_or_default(), job.name_any())
}

fn wait(attempts: u32) -> Duration {
    FIRST_WAIT
        .saturating_mul(1 << attempts.min(10))
        .min(LONGEST_WAIT)
}
