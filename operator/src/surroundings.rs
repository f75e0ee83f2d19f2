//! The objects around brokers' pods, as they are now: their metadata only, and which state of each is there.

use std::sync::Arc;

use k8s_openapi::{
    api::{
        autoscaling::v2::HorizontalPodAutoscaler,
        networking::v1::{Ingress, NetworkPolicy},
        policy::v1::PodDisruptionBudget,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Resource,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};
use package_broker_crds::PackageBroker;
use sha2::{Digest, Sha256};

use crate::{
    foreign::{HTTPRoute, ServiceMonitor},
    runtime::optional::Optional,
};

/// Metadata of all objects of a kind that are the operator's.
pub(crate) type Seen<K> = Store<PartialObjectMeta<K>>;

/// All of them, by kind.
pub(crate) struct Watched {
    pub(crate) policies: Seen<NetworkPolicy>,
    pub(crate) budgets: Seen<PodDisruptionBudget>,
    pub(crate) autoscalers: Seen<HorizontalPodAutoscaler>,
    pub(crate) ingresses: Seen<Ingress>,
    pub(crate) routes: Optional<PartialObjectMeta<HTTPRoute>>,
    pub(crate) monitors: Optional<PartialObjectMeta<ServiceMonitor>>,
}

impl Watched {
    /// Waits until all that there is was seen once.
    pub(crate) async fn complete(&self) {
        // They end early only when a watch does, and then the process does too.
        let _ = tokio::join!(
            self.policies.wait_until_ready(),
            self.budgets.wait_until_ready(),
            self.autoscalers.wait_until_ready(),
            self.ingresses.wait_until_ready(),
            self.routes.complete(),
            self.monitors.complete(),
        );
    }
}

/// The object of a broker among those that were seen: all of them have the broker's name.
pub(crate) fn of<K: Resource<DynamicType = ()> + Clone + 'static>(
    seen: &Seen<K>,
    broker: &PackageBroker,
) -> Option<Arc<PartialObjectMeta<K>>> {
    let metadata = broker.meta();
    let name = metadata.name.as_deref().unwrap_or_default();
    let namespace = metadata.namespace.as_deref().unwrap_or_default();
    seen.get(&ObjectRef::new(name).within(namespace))
}

/// Tells one state of an object from another, but for its status: that of these kinds changes all the time, and it is no
/// reason to apply them again. Where the API server does not count generations, as it does for autoscalers only of late, any change.
pub(crate) fn shape(metadata: &ObjectMeta) -> Option<String> {
    let Some(generation) = metadata.generation else {
        return metadata.resource_version.clone();
    };
    let (uid, references) = (&metadata.uid, &metadata.owner_references);
    let told = (uid, &metadata.labels, &metadata.annotations, references);
    let text = serde_json::to_vec(&told).ok()?;
    let digest = hex::encode(&Sha256::digest(&text)[..8]);
    Some(format!("{generation} {digest}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn status_alone_is_no_other_state() {
        let metadata = |change: serde_json::Value| -> ObjectMeta {
            let mut metadata = json!({"name": "a", "uid": "u", "generation": 1, "resourceVersion": "1", "labels": {"a": "b"}});
            for (field, value) in change.as_object().unwrap() {
                metadata[field] = value.clone();
            }
            serde_json::from_value(metadata).unwrap()
        };
        let before = shape(&metadata(json!({})));
        assert_eq!(shape(&metadata(json!({"resourceVersion": "2"}))), before);
        for change in [
            json!({"generation": 2}),
            json!({"labels": {}}),
            json!({"annotations": {"a": "b"}}),
            json!({"uid": "v"}),
            json!({"generation": null, "resourceVersion": "2"}),
        ] {
            assert_ne!(shape(&metadata(change.clone())), before, "{change}");
        }
    }
}
