//! What users add to the pods of a broker, and how pods are spread if they say nothing of it.

use k8s_openapi::api::core::v1::{PodTemplateSpec, TopologySpreadConstraint};
use kube::ResourceExt;
use package_broker_crds::{PackageBroker, PodTemplate};

use crate::{children::selector, foreign::selecting};

/// A template with what the spec adds to it. What the template has already counts more. `several` is whether there may be
/// more than one pod.
pub(super) fn extend(
    template: PodTemplateSpec,
    broker: &PackageBroker,
    several: bool,
) -> PodTemplateSpec {
    let nothing = PodTemplate::default();
    let wanted = broker.spec.pod_template.as_ref().unwrap_or(&nothing);
    let mut template = template;
    let metadata = template.metadata.get_or_insert_default();
    let mut labels = wanted.labels.clone();
    labels.extend(metadata.labels.take().unwrap_or_default());
    metadata.labels = Some(labels);
    let mut annotations = wanted.annotations.clone();
    annotations.extend(metadata.annotations.take().unwrap_or_default());
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    let spec = template.spec.get_or_insert_default();
    spec.node_selector = (!wanted.node_selector.is_empty()).then(|| wanted.node_selector.clone());
    spec.tolerations = some(&wanted.tolerations);
    spec.affinity.clone_from(&wanted.affinity);
    spec.topology_spread_constraints = some(&wanted.topology_spread_constraints)
        .or_else(|| several.then(|| spread(&broker.name_any())));
    let text = |name: &Option<_>| name.as_ref().map(ToString::to_string);
    spec.priority_class_name = text(&wanted.priority_class_name);
    spec.service_account_name = text(&wanted.service_account_name);
    template
}

/// No empty lists in what is sent.
fn some<T: Clone>(items: &[T]) -> Option<Vec<T>> {
    (!items.is_empty()).then(|| items.to_vec())
}

/// Evenly over nodes and zones, as far as that is possible: a pod that stands beside another is better than none.
fn spread(name: &str) -> Vec<TopologySpreadConstraint> {
    let over = |key: &str| TopologySpreadConstraint {
        max_skew: 1,
        topology_key: key.to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(selecting(selector(name))),
        ..TopologySpreadConstraint::default()
    };
    ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
        .map(over)
        .into()
}
