//! Jobs: a pod of a broker that does one thing and ends.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{
    api::{
        batch::v1::{Job, JobSpec},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{
    Summary,
    pod::{Purpose, pod},
    pod_template,
};
use crate::children::{INSTANCE, MANAGED_BY, OPERATOR, child_of, short_name};

/// The label of Jobs that says what they are for. Their pods have another name than those that serve: no Service may find
/// them.
pub(crate) const COMPONENT: &str = "app.kubernetes.io/component";
/// Its value for Jobs that migrate.
pub(crate) const MIGRATION: &str = "migration";
/// Its value for Jobs that sync.
pub(crate) const SYNC: &str = "sync";

/// The annotation of a Job that migrates with the image that it runs: of Jobs, the rest is not kept in memory.
pub(crate) const IMAGE: &str = "package.broker/image";

/// How long a migration may take.
const MIGRATION_LIMIT: Duration = Duration::from_hours(1);

/// A Job that is to be.
pub(crate) struct Task<'a> {
    pub(crate) name: String,
    pub(crate) component: &'a str,
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) limit: Duration,
    /// How long it stays when it has ended; for ever if nothing is said.
    pub(crate) kept: Option<Duration>,
}

/// The Job, of a pod that is not tried again: whoever made it decides.
pub(crate) fn build(
    broker: &PackageBroker,
    image: &str,
    purpose: Purpose<'_>,
    task: Task<'_>,
) -> Job {
    let mut labels = task.labels;
    labels.extend(
        [
            (
                "app.kubernetes.io/name",
                format!("package-broker-{}", task.component),
            ),
            (INSTANCE, broker.name_any()),
            (COMPONENT, task.component.to_owned()),
            (MANAGED_BY, OPERATOR.to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let mut metadata = child_of(broker, &task.name, labels.clone());
    metadata.annotations = (!task.annotations.is_empty()).then_some(task.annotations);
    let template = PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(broker, image, purpose)),
    };
    Job {
        metadata,
        spec: Some(JobSpec {
            backoff_limit: Some(0),
            active_deadline_seconds: Some(seconds(task.limit)),
            ttl_seconds_after_finished: task
                .kept
                .map(|kept| i32::try_from(kept.as_secs()).unwrap_or(i32::MAX)),
            template: pod_template::extend(template, broker),
            ..JobSpec::default()
        }),
        ..Job::default()
    }
}

/// The Job that brings the database up to the release that is to run. Its name tells one image and configuration from
/// another: each is seen to once.
pub(super) fn migration(
    broker: &PackageBroker,
    summary: &Summary,
    purpose: Purpose<'_>,
    configuration: &str,
) -> Job {
    let of = crate::database::digest([summary.image.as_bytes(), configuration.as_bytes()]);
    let task = Task {
        name: short_name(
            &broker.name_any(),
            &format!("migrate-{}", hex::encode(&of[..5])),
        ),
        component: MIGRATION,
        annotations: [(IMAGE.to_owned(), summary.image.clone())].into(),
        labels: BTreeMap::new(),
        limit: MIGRATION_LIMIT,
        kept: None,
    };
    build(broker, &summary.image, purpose, task)
}
