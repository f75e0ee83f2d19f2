//! The three kinds, as tests begin with them.

use serde_json::{Value, json};

const API: &str = "package.broker/v1alpha1";

/// A broker that reads over plain http: the sources of the tests have no certificates.
pub(crate) fn broker() -> Value {
    json!({
        "apiVersion": API, "kind": "PackageBroker", "metadata": {"name": "main"},
        "spec": {"egress": {"allowHttp": true}},
    })
}

/// A git source.
pub(crate) fn repository(name: &str, url: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "Repository", "metadata": {"name": name},
        "spec": {"brokerRef": {"name": "main"}, "type": "git", "url": url},
    })
}

/// A token that reads everything.
pub(crate) fn token(name: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "AccessToken", "metadata": {"name": name},
        "spec": {"brokerRef": {"name": "main"}},
    })
}

/// An object with other fields in its spec.
pub(crate) fn with(mut object: Value, spec: &Value) -> Value {
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    object
}

/// A definition of another's kind that takes every object.
pub(crate) fn definition(group: &str, kind: &str) -> Value {
    let plural = format!("{}s", kind.to_lowercase());
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("{plural}.{group}"),
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}},
            }],
        },
    })
}
