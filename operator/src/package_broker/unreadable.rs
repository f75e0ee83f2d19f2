//! Members of a broker that this release cannot read. What the broker has of them must stay, and that is not known here: so
//! all stays as it is until they can be read.

use kube::{
    Api, Resource, ResourceExt,
    api::ListParams,
    core::{ApiResource, DynamicObject},
};
use package_broker_crds::{AccessToken, BrokerRef, PackageBroker, Reason, Repository};
use package_broker_kinds::belonging::broker_of;

use super::servers::Fault;
use crate::{
    context::Context,
    error::ReconcileError,
    refusal::Refusal,
    runtime::guard::{Key, Unreadable},
};

/// One fault for each of them.
pub(super) async fn of(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Vec<Fault>, ReconcileError> {
    let mut faults = find::<Repository>(broker, &context.unreadable.repositories, context).await?;
    faults.extend(find::<AccessToken>(broker, &context.unreadable.tokens, context).await?);
    Ok(faults)
}

async fn find<K: Resource<DynamicType = ()>>(
    broker: &PackageBroker,
    unreadable: &Unreadable,
    context: &Context,
) -> Result<Vec<Fault>, ReconcileError> {
    let mut faults = Vec::new();
    for (key, error) in unreadable.all() {
        if belongs::<K>(&key, broker, context).await? {
            let (namespace, name) = &key;
            let kind = K::kind(&());
            let message = format!(
                "{kind} \"{name}\" in namespace {namespace} cannot be read by this release of the operator, so that \
                 nothing is changed: {error}; install the release that it was written for, or write it anew"
            );
            faults.push(Fault {
                part: None,
                refusal: Refusal::new(Reason::InvalidSpec, message),
            });
        }
    }
    Ok(faults)
}

/// Whether an object says that it belongs to a broker, as far as that can be made out. One that is gone does not; one of
/// which it cannot be said does.
async fn belongs<K: Resource<DynamicType = ()>>(
    (namespace, name): &Key,
    broker: &PackageBroker,
    context: &Context,
) -> Result<bool, ReconcileError> {
    let kind = ApiResource::erase::<K>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(context.client.clone(), namespace, &kind);
    let by_name = ListParams::default().fields(&format!("metadata.name={name}"));
    let found = api.list(&by_name).await?;
    Ok(found.items.first().is_some_and(|object| {
        let reference = object.data["spec"]["brokerRef"].clone();
        let reference: Option<BrokerRef> = serde_json::from_value(reference).ok();
        reference.is_none_or(|reference| {
            let own = (broker.namespace().unwrap_or_default(), broker.name_any());
            broker_of(&reference, namespace) == (own.0.as_str(), own.1.as_str())
        })
    }))
}
