//! Jobs, as far as they have come.

use jiff::Timestamp;
use k8s_openapi::api::{batch::v1::Job, core::v1::Pod};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams, PostParams},
};

use super::status::is_not_found;

/// How a Job goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its pod is still to end.
    Running,
    /// Its pod has done what it should.
    Succeeded,
    /// Its pod has not, or took too long.
    Failed,
}

/// How a Job goes, by its conditions.
pub(crate) fn progress(job: &Job) -> Progress {
    let conditions = job
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_ref());
    let holds = |type_: &str| {
        let mut all = conditions.into_iter().flatten();
        all.any(|condition| condition.type_ == type_ && condition.status == "True")
    };
    if holds("Complete") {
        Progress::Succeeded
    } else if holds("Failed") {
        Progress::Failed
    } else {
        Progress::Running
    }
}

/// When a Job has ended.
pub(crate) fn ended_at(job: &Job) -> Option<Timestamp> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let end = conditions.iter().find(|condition| {
        ["Complete", "Failed"].contains(&condition.type_.as_str()) && condition.status == "True"
    })?;
    Some(end.last_transition_time.as_ref()?.0)
}

/// Why a Job failed, in the words of Kubernetes.
pub(crate) fn complaint(job: &Job) -> Option<String> {
    let conditions = job.status.as_ref()?.conditions.as_ref()?;
    let failed = conditions
        .iter()
        .find(|condition| condition.type_ == "Failed")?;
    failed.message.clone()
}

/// Makes a Job. `false` if there is one of that name: whoever names it after what it is for makes no second one.
///
/// # Errors
/// What the API server says.
pub(crate) async fn create(client: &Client, job: &Job) -> Result<bool, kube::Error> {
    match api(client, job).create(&PostParams::default(), job).await {
        Ok(_) => Ok(true),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a Job, and its pods after it.
///
/// # Errors
/// What the API server says; that it is gone already is none.
pub(crate) async fn delete(client: &Client, job: &Job) -> Result<(), kube::Error> {
    let uid = job.uid();
    let params = DeleteParams {
        preconditions: Some(kube::api::Preconditions {
            uid,
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    match api(client, job).delete(&job.name_any(), &params).await {
        Err(error) if !is_not_found(&error) => Err(error),
        _ => Ok(()),
    }
}

/// What the pod of a Job wrote when it ended.
///
/// # Errors
/// What the API server says.
pub(crate) async fn said(client: &Client, job: &Job) -> Result<Option<String>, kube::Error> {
    let namespace = job.namespace().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &namespace);
    let label = format!("batch.kubernetes.io/job-name={}", job.name_any());
    let found = pods.list(&ListParams::default().labels(&label)).await?;
    Ok(found.items.iter().find_map(last_words))
}

fn last_words(pod: &Pod) -> Option<String> {
    let containers = pod.status.as_ref()?.container_statuses.as_deref()?;
    let ended = containers
        .iter()
        .find_map(|container| container.state.as_ref()?.terminated.as_ref())?;
    let message = ended.message.as_deref().unwrap_or_default().trim();
    Some(message.to_owned()).filter(|message| !message.is_empty())
}

fn api(client: &Client, job: &Job) -> Api<Job> {
    Api::namespaced(client.clone(), &job.namespace().unwrap_or_default())
}
