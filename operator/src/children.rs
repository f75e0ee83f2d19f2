//! Objects that the operator makes: their labels, their owners, and which version of each is there.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::Deployment,
        batch::v1::Job,
        core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Secret, Service},
    },
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference},
};
use kube::{
    Resource, ResourceExt,
    core::PartialObjectMeta,
    runtime::reflector::{ObjectRef, Store},
};

use crate::surroundings::Watched;

/// The label that says which broker an object is part of.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";
/// The label that tells objects of this operator from those of others.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Its value.
pub(crate) const OPERATOR: &str = "package-broker-operator";

/// The labels of what belongs to a broker.
pub(crate) fn labels(broker: &str) -> BTreeMap<String, String> {
    let mut labels = selector(broker);
    labels.insert(MANAGED_BY.to_owned(), OPERATOR.to_owned());
    labels
}

/// The labels that a broker's pods are found by. They never change: a Deployment's selector cannot.
pub(crate) fn selector(broker: &str) -> BTreeMap<String, String> {
    [
        ("app.kubernetes.io/name", "package-broker"),
        (INSTANCE, broker),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
}

/// A name that also fits into a label: as much of `name` as there is room for, then `suffix`, which has to tell apart what
/// would have the same name.
pub(crate) fn short_name(name: &str, suffix: &str) -> String {
    const LONGEST: usize = 63;
    let room = LONGEST.saturating_sub(suffix.len() + 1);
    let name = name.get(..room.min(name.len())).unwrap_or(name);
    format!("{}-{suffix}", name.trim_end_matches(['-', '.']))
}

/// Metadata of a child of `owner`, which goes when that goes. Labels and annotations of the owner are not copied: tools
/// that track objects by them would take the child for theirs.
pub(crate) fn child_of<K: Resource<DynamicType = ()>>(
    owner: &K,
    name: &str,
    labels: BTreeMap<String, String>,
) -> ObjectMeta {
    ObjectMeta {
        owner_references: owner.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..orphan(owner, name, labels)
    }
}

/// Metadata of an object in the namespace of `owner` that stays when that goes.
pub(crate) fn orphan<K: Resource<DynamicType = ()>>(
    owner: &K,
    name: &str,
    labels: BTreeMap<String, String>,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: owner.namespace(),
        labels: Some(labels),
        ..ObjectMeta::default()
    }
}

/// Whether an object is controlled by `owner`.
pub(crate) fn is_child<K: Resource<DynamicType = ()>>(
    references: Option<&Vec<OwnerReference>>,
    owner: &K,
) -> bool {
    let uid = owner.meta().uid.as_deref();
    references
        .into_iter()
        .flatten()
        .any(|reference| reference.controller == Some(true) && Some(reference.uid.as_str()) == uid)
}

/// Objects of the kinds that the operator makes, as they are now; of most only what every object has.
pub(crate) struct Children {
    pub(crate) deployments: Store<Deployment>,
    /// Without what their pods are made from.
    pub(crate) jobs: Store<Job>,
    pub(crate) settings: Store<PartialObjectMeta<ConfigMap>>,
    pub(crate) services: Store<PartialObjectMeta<Service>>,
    pub(crate) volumes: Store<PartialObjectMeta<PersistentVolumeClaim>>,
    pub(crate) secrets: Store<PartialObjectMeta<Secret>>,
    pub(crate) surroundings: Watched,
    /// What there is of namespaces; nothing if only some of them are looked after.
    pub(crate) namespaces: Option<Store<PartialObjectMeta<Namespace>>>,
}

/// The version of the object of this name and namespace, if it is there.
pub(crate) fn version<K>(store: &Store<K>, object: &ObjectMeta) -> Option<String>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    let name = object.name.as_deref().unwrap_or_default();
    let namespace = object.namespace.as_deref().unwrap_or_default();
    let found = store.get(&ObjectRef::new(name).within(namespace))?;
    found.resource_version()
}
