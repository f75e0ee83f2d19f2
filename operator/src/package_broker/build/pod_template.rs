//! What users add to the pods of a broker, and how pods are spread if they say nothing of it.

use k8s_openapi::api::core::v1::{Affinity, PodTemplateSpec, TopologySpreadConstraint};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use crate::{children::selector, foreign::selecting};

/// A template of pods that serve, with what the spec adds to it and says of where they stand. How many there are changes
/// nothing of it, so that one that gets company is not replaced.
pub(super) fn serving(template: PodTemplateSpec, broker: &PackageBroker) -> PodTemplateSpec {
    let mut template = extend(template, broker);
    let spec = template.spec.get_or_insert_default();
    let wanted = broker.spec.pod_template.as_ref();
    spec.affinity = wanted.and_then(|wanted| wanted.affinity.clone());
    let several = broker.spec.database.is_some();
    let given = wanted.and_then(|wanted| some(&wanted.topology_spread_constraints));
    spec.topology_spread_constraints =
        given.or_else(|| several.then(|| spread(&broker.name_any())));
    template
}

/// A template with what the spec adds to all pods. What the template has already counts more. Which pods it is drawn to or
/// kept from is not among that: those that do one thing and end must not wait for such places.
pub(super) fn extend(mut template: PodTemplateSpec, broker: &PackageBroker) -> PodTemplateSpec {
    let Some(wanted) = &broker.spec.pod_template else {
        return template;
    };
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
    let affinity = wanted.affinity.as_ref();
    let nodes = affinity.and_then(|affinity| affinity.node_affinity.clone());
    spec.affinity = nodes.map(|nodes| Affinity {
        node_affinity: Some(nodes),
        ..Affinity::default()
    });
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
