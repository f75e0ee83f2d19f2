//! The Deployment: one pod on a volume, or as many as are wanted over servers.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment},
        core::v1::PodTemplateSpec,
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{
    pod::{Purpose, pod},
    pod_template,
};
use crate::children::{child_of, labels, selector};

/// The annotation of pods with a digest of what they read at their start: a change has them replaced.
const CONFIGURATION_DIGEST: &str = "package.broker/configuration";

/// The one pod that is the registry. Two processes must not have the volume at once.
pub(super) fn embedded(broker: &PackageBroker, image: &str) -> Deployment {
    let strategy = DeploymentStrategy {
        type_: Some("Recreate".to_owned()),
        ..DeploymentStrategy::default()
    };
    build(broker, strategy, template(broker, image, Purpose::Run))
}

/// Pods over servers. A new one is ready before an old one goes.
pub(super) fn replicated(
    broker: &PackageBroker,
    image: &str,
    purpose: Purpose<'_>,
    configuration: &str,
) -> Deployment {
    let strategy = DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    };
    let mut template = template(broker, image, purpose);
    let annotation = (CONFIGURATION_DIGEST.to_owned(), configuration.to_owned());
    if let Some(metadata) = &mut template.metadata {
        metadata.annotations = Some(BTreeMap::from([annotation]));
    }
    build(broker, strategy, template)
}

/// How many pods should serve, if nothing changes their number.
pub(crate) fn replicas(broker: &PackageBroker) -> i32 {
    if let Some(scaled) = &broker.spec.autoscaling {
        return scaled.min_replicas;
    }
    let usual = if broker.spec.database.is_some() { 2 } else { 1 };
    broker.spec.replicas.unwrap_or(usual)
}

/// How many pods there may be.
pub(super) fn most(broker: &PackageBroker) -> i32 {
    let scaled = broker.spec.autoscaling.as_ref();
    scaled.map_or_else(|| replicas(broker), |scaled| scaled.max_replicas)
}

fn build(
    broker: &PackageBroker,
    strategy: DeploymentStrategy,
    template: PodTemplateSpec,
) -> Deployment {
    let name = broker.name_any();
    Deployment {
        metadata: child_of(broker, &name, labels(&name)),
        spec: DeploymentSpec {
            replicas: Some(replicas(broker)),
            revision_history_limit: Some(3),
            selector: LabelSelector {
                match_labels: Some(selector(&name)),
                ..LabelSelector::default()
            },
            strategy: Some(strategy),
            template: pod_template::serving(template, broker),
            ..DeploymentSpec::default()
        },
        ..Deployment::default()
    }
}

fn template(broker: &PackageBroker, image: &str, purpose: Purpose<'_>) -> PodTemplateSpec {
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels(&broker.name_any())),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(broker, image, purpose)),
    }
}
