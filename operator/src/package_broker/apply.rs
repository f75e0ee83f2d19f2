//! Makes the objects of a `PackageBroker` be there, in the order in which one needs the other.

use std::sync::Arc;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
    runtime::reflector::ObjectRef,
};
use package_broker_crds::PackageBroker;
use serde_json::json;

use super::{
    build::{Backing, Embedded, Objects, Replicated, STATE, Summary, as_scaled},
    migration::{self, Migration},
    pods,
    rows::{self, Rows},
    surroundings::{self, Lacking},
    validate::Valid,
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
    /// How it stands with the servers; nothing for a broker on a volume.
    pub(super) servers: Option<OnServers>,
    /// What is not there around the pods.
    pub(super) lacking: Lacking,
    /// The Deployment as the API server has it now, if there is one.
    pub(super) deployment: Option<Arc<Deployment>>,
}

/// How far a broker on servers came.
pub(super) struct OnServers {
    pub(super) migration: Migration,
    /// What became of the rows.
    pub(super) rows: Rows,
}

pub(super) async fn apply(
    broker: &PackageBroker,
    valid: &Valid,
    objects: Objects,
    context: &Context,
) -> Result<Applied, ReconcileError> {
    // All of them: a new one that is forgotten here does not compile.
    let Objects {
        backing,
        service,
        deployment,
        surroundings,
        summary,
    } = objects;
    let (applier, children) = (&context.applier, &context.children);
    let present = version(&children.services, &service.metadata);
    applier.apply(&service, present).await?;
    reach("broker.service-applied");
    let (may_run, servers, digest) = match backing {
        Backing::Embedded(embedded) => (true, None, Some(beneath(*embedded, context).await?)),
        Backing::Servers(replicated) => {
            let servers = Box::pin(over(broker, valid, *replicated, context)).await?;
            (servers.migration.is_done(), Some(servers), None)
        }
    };
    let namespace = broker.namespace().unwrap_or_default();
    let name = ObjectRef::new(&broker.name_any()).within(&namespace);
    let mut made = None;
    if may_run {
        let seen = children.deployments.get(&name);
        let deployment = as_scaled(broker, deployment, seen.as_deref());
        let present = version(&children.deployments, &deployment.metadata);
        made = applier.apply(&deployment, present).await?;
        reach("broker.deployment-applied");
    }
    if let Some(digest) = digest {
        hurry(broker, &digest, context).await?;
        reach("broker.pods-marked");
    }
    // Last: what is refused here keeps no pod from running.
    let lacking = Box::pin(surroundings::apply(broker, &surroundings, context)).await?;
    reach("broker.surroundings-applied");
    Ok(Applied {
        summary,
        servers,
        lacking,
        // What was seen may be older than what was just made of it.
        deployment: made
            .map(Arc::new)
            .or_else(|| children.deployments.get(&name)),
    })
}

/// What a pod that is the whole registry mounts. Returns what tells this state from another.
async fn beneath(embedded: Embedded, context: &Context) -> Result<String, ReconcileError> {
    let Embedded {
        state,
        digest,
        volume,
    } = embedded;
    let (applier, children) = (&context.applier, &context.children);
    let present = version(&children.secrets, &state.metadata);
    applier.apply(&state, present).await?;
    reach("broker.state-applied");
    let present = version(&children.volumes, &volume.metadata);
    applier.apply(&volume, present).await?;
    reach("broker.volume-applied");
    Ok(digest)
}

/// What pods over servers need: settings, tables, and rows in them.
async fn over(
    broker: &PackageBroker,
    valid: &Valid,
    replicated: Replicated,
    context: &Context,
) -> Result<OnServers, ReconcileError> {
    let Replicated {
        new_keys,
        keys,
        access,
        settings,
        migration,
    } = replicated;
    if let Some(secret) = &new_keys {
        keep(secret, context).await?;
        reach("broker.keys-made");
    }
    let (applier, children) = (&context.applier, &context.children);
    let present = version(&children.settings, &settings.metadata);
    applier.apply(&settings, present).await?;
    reach("broker.settings-applied");
    let migration = migration::apply(&migration, context).await?;
    // Also while the database is being made ready for another release, or cannot be: a token that is withdrawn stops.
    let rows = rows::declare(broker, valid, (&access, &keys), context).await?;
    let is_lost = migration.is_done() && matches!(rows, Rows::NoTables);
    let migration = if is_lost {
        // The tables were there when the Job had ended: somebody has dropped the database, and made it anew.
        let migration = migration.again(context).await?;
        reach("broker.migrated-again");
        migration
    } else {
        migration
    };
    Ok(OnServers { migration, rows })
}

/// Makes a Secret that is never written to again: should there be one by now, the next look finds it.
pub(super) async fn keep(secret: &Secret, context: &Context) -> Result<(), ReconcileError> {
    let namespace = secret.namespace().unwrap_or_default();
    let api: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    api.create(&PostParams::default(), secret).await?;
    Ok(())
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
