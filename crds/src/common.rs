//! What several kinds have in common: references to other objects, and the rules on names.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

use kube::KubeSchema;
use kube::core::Rule;
use serde::{Deserialize, Serialize};

use crate::text::ObjectName;

/// The PackageBroker an object belongs to.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrokerRef {
    /// Name of a PackageBroker. Example: `main`.
    pub name: ObjectName,

    /// Its namespace, which has to be allowed in its `spec.allowedNamespaces`. Example: `packages`.
    /// Default: that of the object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<ObjectName>,
}

/// A Secret in the namespace of the object that names it.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of a Secret in the same namespace. Example: `gitlab-credentials`.
    pub name: ObjectName,
}

/// Names end up in labels and host names, which hold 63 characters at most.
///
/// No `fieldPath`: it must name a field of the schema, and `metadata` is not spelt out there.
pub(crate) fn short_name_rule() -> Rule {
    Rule::new("self.metadata.name.size() <= 63")
        .message("the name is longer than 63 characters; choose a shorter one")
}

/// A reference or type that stays what it was when the object was made.
pub(crate) fn immutable_rule() -> Rule {
    Rule::new("self == oldSelf").message(
        "cannot change; delete the object, or give the one with the new value another name",
    )
}
