//! Makes the objects of a `PackageBroker` be there, in the order in which one needs the other.

use std::sync::Arc;

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    ResourceExt,
    api::{Patch, PatchParams},
    runtime::reflector::ObjectRef,
};
use package_broker_crds::PackageBroker;
use serde_json::json;

use super::{
    build::{Objects, STATE, Summary},
    pods,
    surroundings::{self, Lacking},
};
use crate::{
    children::version,
    context::Context,
    error::ReconcileError,
    runtime::{failpoint::reach, status::is_not_found},
};

/// What was applied: a status is made of nothing else.
pub(super) struct Applied {
    pub(super) summary: Summary,
    /// What is not there around the pods.
    pub(super) lacking: Lacking,
    /// The Deployment as the API server has it now, if it was seen yet.
    pub(super) deployment: Option<Arc<Deployment>>,
}

pub(super) async fn apply(
    broker: &PackageBroker,
    objects: Objects,
    context: &Context,
) -> Result<Applied, ReconcileError> {
    // All of them: a new one that is forgotten here does not compile.
    let Objects {
        state,
        digest,
        volume,
        service,
        deployment,
        surroundings,
        summary,
    } = objects;
    let (applier, children) = (&context.applier, &context.children);
    let present = version(&children.secrets, &state.metadata);
    applier.apply(&state, present).await?;
    reach("broker.state-applied");
    let present = version(&children.volumes, &volume.metadata);
    applier.apply(&volume, present).await?;
    reach("broker.volume-applied");
    let present = version(&children.services, &service.metadata);
    applier.apply(&service, present).await?;
    reach("broker.service-applied");
    let present = version(&children.deployments, &deployment.metadata);
    applier.apply(&deployment, present).await?;
    reach("broker.deployment-applied");
    hurry(broker, &digest, context).await?;
    reach("broker.pods-marked");
    // Last: what is refused here keeps no pod from running.
    let lacking = surroundings::apply(broker, &surroundings, context).await?;
    reach("broker.surroundings-applied");
    let namespace = broker.namespace().unwrap_or_default();
    let name = ObjectRef::new(&broker.name_any()).within(&namespace);
    Ok(Applied {
        summary,
        lacking,
        deployment: children.deployments.get(&name),
    })
}

/// Has the node look at the pods now: by itself it would take a minute or more until they see a changed Secret.
async fn hurry(
    broker: &PackageBroker,
    digest: &str,
    context: &Context,
) -> Result<(), ReconcileError> {
    let namespace = broker.namespace().unwrap_or_default();
    let key = (namespace.clone(), broker.name_any());
    if !context.hurried.is_new(&key, digest) {
        return Ok(());
    }
    let (api, labelled) = pods::of(broker, context);
    for pod in api.list_metadata(&labelled).await? {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {STATE: digest}}}));
        let (name, params) = (pod.name_any(), PatchParams::default());
        match api.patch_metadata(&name, &params, &patch).await {
            Err(error) if !is_not_found(&error) => return Err(error.into()),
            _ => {}
        }
    }
    context.hurried.note(key, digest);
    Ok(())
}
