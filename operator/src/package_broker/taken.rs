//! Names that are taken: an object of somebody else's is not made one of a broker's.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    runtime::reflector::{ObjectRef, Store},
};
use package_broker_crds::{PackageBroker, Reason};
use serde::de::DeserializeOwned;

use super::{
    build::{Backing, Objects},
    servers::Fault,
};
use crate::{
    children::{MANAGED_BY, OPERATOR},
    context::Context,
    error::ReconcileError,
    refusal::Refusal,
};

/// One fault for each object that is in the way.
pub(super) async fn of(
    broker: &PackageBroker,
    objects: &Objects,
    context: &Context,
) -> Result<Vec<Fault>, ReconcileError> {
    let children = &context.children;
    let look = Look { broker, context };
    let mut taken = vec![
        look.at(&children.services, &objects.service).await?,
        look.at(&children.deployments, &objects.deployment).await?,
    ];
    match &objects.backing {
        Backing::Embedded(embedded) => {
            taken.push(look.at(&children.secrets, &embedded.state).await?);
            taken.push(look.at(&children.volumes, &embedded.volume).await?);
        }
        Backing::Servers(servers) => {
            taken.push(look.at(&children.settings, &servers.settings).await?);
        }
    }
    Ok(taken.into_iter().flatten().collect())
}

struct Look<'a> {
    broker: &'a PackageBroker,
    context: &'a Context,
}

impl Look<'_> {
    /// What is wrong if there is an object of this name that the operator did not make. It is asked for only if no watch
    /// tells of one that it made.
    async fn at<S, K>(&self, made: &Store<S>, wanted: &K) -> Result<Option<Fault>, ReconcileError>
    where
        S: Resource<DynamicType = ()> + Clone + 'static,
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned,
    {
        let namespace = self.broker.namespace().unwrap_or_default();
        let name = wanted.name_any();
        let known = made.get(&ObjectRef::new(&name).within(&namespace));
        if known.is_some_and(|known| is_ours(known.as_ref())) {
            return Ok(None);
        }
        let api: Api<K> = Api::namespaced(self.context.client.clone(), &namespace);
        let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = api.list_metadata(&by_name).await?;
        let others = found.items.iter().any(|found| !is_ours(found));
        Ok(others.then(|| {
            let kind = K::kind(&());
            let message = format!(
                "metadata.name: there is a {kind} \"{name}\" in namespace {namespace} that is not of this PackageBroker, and is left \
                 alone; give the PackageBroker another name, or remove the {kind}"
            );
            Fault {
                part: None,
                refusal: Refusal::new(Reason::Conflict, message),
            }
        }))
    }
}

fn is_ours<K: Resource>(object: &K) -> bool {
    object
        .meta()
        .labels
        .as_ref()
        .is_some_and(|labels| labels.get(MANAGED_BY).is_some_and(|by| by == OPERATOR))
}
