//! The fields every Kubernetes object has, which no CustomResourceDefinition spells out.

use serde_json::{Value, json};

use super::{FieldError, FieldPath};

/// The schema of `metadata`, with what a server adds and `kubectl get -o yaml` shows.
pub fn metadata_schema() -> Value {
    let texts = |description: &str| {
        json!({
            "type": "object",
            "description": description,
            "additionalProperties": {"type": "string"},
        })
    };
    json!({
        "type": "object",
        "description": "Name, namespace, labels and annotations of the object.",
        "required": ["name"],
        "properties": {
            "name": {
                "type": "string",
                "description": "Name of the object. Example: `main`.",
            },
            "namespace": {
                "type": "string",
                "description": "Namespace of the object. Default: `default`.",
            },
            "labels": texts("Labels, to select objects by."),
            "annotations": texts("Annotations, for tools and people."),
            "creationTimestamp": {"type": "string"},
            "deletionGracePeriodSeconds": {"type": "integer"},
            "deletionTimestamp": {"type": "string"},
            "finalizers": {"type": "array", "items": {"type": "string"}},
            "generation": {"type": "integer"},
            "managedFields": {"type": "array", "items": {"type": "object"}},
            "ownerReferences": {"type": "array", "items": {"type": "object"}},
            "resourceVersion": {"type": "string"},
            "selfLink": {"type": "string"},
            "uid": {"type": "string"},
        },
    })
}

/// Checks the form of name, namespace, labels and annotations of any object. Whether they are
/// there at all is the schema's business.
pub fn check_metadata(document: &Value) -> Vec<FieldError> {
    let path = FieldPath::root().field("metadata");
    let Some(metadata) = document.get("metadata").and_then(Value::as_object) else {
        return Vec::new();
    };
    let text = |field: &str| metadata.get(field).and_then(Value::as_str);
    let mut errors = Vec::new();
    if let Some(name) = text("name")
        && !is_subdomain(name)
    {
        errors.push(FieldError::new(
            path.field("name"),
            format!("{} is not a name", quoted(name)),
            "use at most 253 lower case letters, digits, - and ., starting and ending with a letter or digit",
        ));
    }
    if let Some(namespace) = text("namespace")
        && !is_label(namespace)
    {
        errors.push(FieldError::new(
            path.field("namespace"),
            format!("{} is not a namespace", quoted(namespace)),
            "use at most 63 lower case letters, digits and -, starting and ending with a letter or digit",
        ));
    }
    check_keys(metadata.get("labels"), &path.field("labels"), &mut errors);
    check_keys(
        metadata.get("annotations"),
        &path.field("annotations"),
        &mut errors,
    );
    check_label_values(metadata.get("labels"), &path.field("labels"), &mut errors);
    errors
}

fn check_keys(map: Option<&Value>, path: &FieldPath, errors: &mut Vec<FieldError>) {
    for key in map
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, _)| key)
    {
        let (prefix, name) = key.split_once('/').unwrap_or(("x", key));
        if !is_subdomain(prefix) || name.is_empty() || !is_label_text(name) {
            errors.push(FieldError::new(
                path.field(key),
                "is not a key",
                "write name or example.com/name, of letters, digits, -, _ and .",
            ));
        }
    }
}

fn check_label_values(map: Option<&Value>, path: &FieldPath, errors: &mut Vec<FieldError>) {
    for (key, value) in map.and_then(Value::as_object).into_iter().flatten() {
        if value.as_str().is_some_and(|value| !is_label_text(value)) {
            errors.push(FieldError::new(
                path.field(key),
                "is not the value of a label",
                "use at most 63 letters, digits, -, _ and ., or make it an annotation",
            ));
        }
    }
}

/// RFC 1123 subdomain: what names of objects are.
fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_dns_part)
}

/// RFC 1123 label: what namespaces are.
fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_dns_part(text)
}

fn is_dns_part(text: &str) -> bool {
    let alphanumeric = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.first().copied().is_some_and(alphanumeric)
        && bytes.last().copied().is_some_and(alphanumeric)
        && bytes.iter().all(|&c| alphanumeric(c) || c == b'-')
}

/// The value of a label, and the name part of a key; may be empty.
fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.first().is_none_or(u8::is_ascii_alphanumeric)
        && bytes.last().is_none_or(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
}

/// The start of a text in quotes, for messages.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("\"{}…\"", &text[..end]),
        None => format!("\"{text}\""),
    }
}
