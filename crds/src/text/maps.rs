//! Maps that end up in the metadata of objects: labels, annotations, and labels to select by.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A key of a label or an annotation.
const KEY: &str = "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$";
/// The value of a label.
const VALUE: &str = "^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$";
/// The labels that the operator finds its objects by.
const OURS: &str =
    "['app.kubernetes.io/name', 'app.kubernetes.io/instance', 'app.kubernetes.io/managed-by']";

/// Labels for objects that the operator makes. None of those that it finds them by: it would have to ignore what they say.
pub(crate) fn labels(_: &mut SchemaGenerator) -> Schema {
    let ours = json!({
        "rule": format!("!self.exists(key, key in {OURS})"),
        "message": "app.kubernetes.io/name, instance and managed-by are the operator's own; remove them",
    });
    map(63, &[key_rule(), value_rule(), ours])
}

/// Labels that nodes must have.
pub(crate) fn selector(_: &mut SchemaGenerator) -> Schema {
    map(63, &[key_rule(), value_rule()])
}

/// Annotations for objects that the operator makes. None with the prefix of its own.
pub(crate) fn annotations(_: &mut SchemaGenerator) -> Schema {
    let ours = json!({
        "rule": "!self.exists(key, key.startsWith('package.broker/'))",
        "message": "annotations of package.broker are the operator's own; remove them",
    });
    map(16_384, &[key_rule(), ours])
}

fn map(longest: u32, rules: &[Value]) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": longest},
        "x-kubernetes-validations": rules,
    })
}

fn key_rule() -> Value {
    json!({
        "rule": format!("self.all(key, key.matches('{KEY}'))"),
        "message": "has something that is not a key; write name or example.com/name, of letters, digits, -, _ and .",
    })
}

fn value_rule() -> Value {
    json!({
        "rule": format!("self.all(key, self[key].matches('{VALUE}'))"),
        "message": "has something that is not the value of a label; use at most 63 letters, digits, -, _ and .",
    })
}
