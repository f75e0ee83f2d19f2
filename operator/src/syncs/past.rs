//! The last sync of a repository, as its Job or its status has it. Pure: no client.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;
use package_broker_crds::{ConditionType, Repository};
use serde::Deserialize;

use crate::{
    database::RepositoryState,
    runtime::{
        conditions::find,
        jobs::{self, Progress},
    },
};

/// The label of a sync Job with the name of its Repository.
pub(super) const REPOSITORY: &str = "package.broker/repository";
/// The annotation with the generation that is synced.
pub(super) const GENERATION: &str = "package.broker/generation";
/// The annotation with the version of the Secret that is synced with.
pub(super) const CREDENTIALS: &str = "package.broker/credentials-version";
/// The annotation with the request that is met.
pub(super) const REQUEST: &str = "package.broker/sync-request";
/// The annotation with the number of failures before.
pub(super) const FAILURES: &str = "package.broker/failures";

/// The annotation with the number of the request in the database that is met.
pub(super) const RECORDED: &str = "package.broker/recorded-request";

/// What a sync says at its end: the JSON line of `package-broker sync`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Report {
    pub(super) started: Option<Timestamp>,
    pub(super) packages: Option<i32>,
    pub(super) versions: Option<i64>,
    pub(super) skipped: Option<usize>,
    pub(super) revision: Option<String>,
    pub(super) error: Option<String>,
    pub(super) lasting: bool,
    /// In seconds.
    pub(super) retry_after: Option<u64>,
}

impl Report {
    /// From what a pod said, and from how Kubernetes says its Job went.
    pub(super) fn of(job: &Job, said: Option<&str>) -> Self {
        let report = said.and_then(|said| serde_json::from_str::<Self>(said.lines().last()?).ok());
        if let Some(report) = report {
            return report;
        }
        let has_failed = jobs::progress(job) == Progress::Failed;
        let complaint = || {
            let complaint = jobs::complaint(job).unwrap_or_default();
            let said = said.map_or(complaint, str::to_owned);
            format!("the sync Job ended without a report: {said}")
        };
        Self {
            error: has_failed.then(complaint),
            ..Self::default()
        }
    }
}

/// The request that a sync meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Met {
    /// Not known any more.
    Forgotten,
    /// What was asked for, if anything was.
    Known(Option<String>),
}

/// A sync that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Past {
    /// Its Job, if that is still there.
    pub(super) job: Option<String>,
    /// When it was begun.
    pub(super) started: Timestamp,
    /// When it had ended.
    pub(super) ended: Timestamp,
    /// What was synced; nothing if that is not known any more.
    pub(super) state: Option<RepositoryState>,
    /// The request that it meets.
    pub(super) request: Met,
    /// The request in the database that it meets.
    pub(super) recorded: Option<i64>,
    /// What came of it.
    pub(super) report: Arc<Report>,
    /// Failures in a row, with this one.
    pub(super) failures: u32,
}

impl Past {
    /// From its Job.
    pub(super) fn of_job(job: &Job, report: Arc<Report>) -> Self {
        let annotations = job.annotations();
        let before: u32 = annotations
            .get(FAILURES)
            .and_then(|number| number.parse().ok())
            .unwrap_or_default();
        let created = job.metadata.creation_timestamp.as_ref();
        let created = created.map_or(Timestamp::UNIX_EPOCH, |created| created.0);
        Self {
            job: Some(job.name_any()),
            started: created,
            ended: jobs::ended_at(job).unwrap_or(created),
            state: Some(RepositoryState {
                generation: annotations
                    .get(GENERATION)
                    .and_then(|generation| generation.parse().ok()),
                credentials: annotations.get(CREDENTIALS).cloned(),
            }),
            request: Met::Known(annotations.get(REQUEST).cloned()),
            recorded: annotations
                .get(RECORDED)
                .and_then(|number| number.parse().ok()),
            failures: if report.error.is_some() {
                before + 1
            } else {
                0
            },
            report,
        }
    }

    /// From what was said of the repository after a sync whose Job is gone.
    pub(super) fn of_status(repository: &Repository) -> Option<Self> {
        let status = repository.status.as_ref()?;
        let started = status.last_attempt_time.as_ref()?.0;
        let synced = find(&status.conditions, ConditionType::Synced)?;
        let failures = status.consecutive_failures.unwrap_or_default();
        let stalled = find(&status.conditions, ConditionType::Stalled);
        let report = Report {
            started: Some(started),
            packages: status.packages,
            versions: status.versions,
            skipped: status
                .skipped
                .and_then(|skipped| usize::try_from(skipped).ok()),
            revision: status.revision.clone(),
            error: (synced.status != "True").then(|| synced.message.clone()),
            lasting: stalled.is_some(),
            retry_after: None,
        };
        Some(Self {
            job: None,
            started,
            // The end is not kept, and a sync takes little of its interval.
            ended: started,
            state: None,
            request: Met::Forgotten,
            recorded: None,
            report: Arc::new(report),
            failures: u32::try_from(failures).unwrap_or_default(),
        })
    }

    /// Whether this is what it synced.
    pub(super) fn is_of(&self, state: &RepositoryState) -> bool {
        self.state.as_ref().is_none_or(|synced| synced == state)
    }

    /// Whether it met this request.
    pub(super) fn met(&self, request: Option<&str>) -> bool {
        match &self.request {
            Met::Forgotten => true,
            Met::Known(met) => request.is_none() || met.as_deref() == request,
        }
    }
}
