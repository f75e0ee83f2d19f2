//! The `PodDisruptionBudget`: nodes are emptied of one pod after the other.

use k8s_openapi::{
    api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use crate::{
    children::{child_of, labels, selector},
    foreign::selecting,
};

/// The budget of a broker that may have so many pods. None for a single one: nobody could empty its node.
pub(super) fn build(broker: &PackageBroker, most: i32) -> Option<PodDisruptionBudget> {
    let name = broker.name_any();
    (most > 1).then(|| PodDisruptionBudget {
        metadata: child_of(broker, &name, labels(&name)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(selecting(selector(&name))),
            // Pods that do not serve must not keep a node from being emptied.
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    })
}
