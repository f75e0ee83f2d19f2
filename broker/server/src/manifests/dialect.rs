//! Which documents are read.

use package_broker_crds::{
    API_VERSION, GROUP,
    validation::{FieldError, FieldPath, Kind, nearest},
};
use serde_json::Value;

/// Whose schema a document is held against.
pub(super) enum Dialect {
    Ours,
    Secret,
}

/// Which documents are read; everything else has no place among these manifests.
pub(super) fn dialect(document: &Value) -> Result<Dialect, FieldError> {
    let root = FieldPath::root();
    if !document.is_object() {
        return Err(FieldError::new(
            root,
            "is not a map",
            "write apiVersion, kind, metadata and spec",
        ));
    }
    let text = |field: &str| document.get(field).and_then(Value::as_str);
    let missing =
        |field: &str, fix: String| Err(FieldError::new(root.field(field), "is required", fix));
    let Some(kind) = text("kind") else {
        return missing(
            "kind",
            "add kind: PackageBroker, Repository, AccessToken or Secret".to_owned(),
        );
    };
    let is_ours = Kind::named(kind).is_some();
    let Some(version) = text("apiVersion") else {
        let version = if kind == "Secret" { "v1" } else { API_VERSION };
        return missing("apiVersion", format!("add apiVersion: {version}"));
    };
    match (version, kind) {
        ("v1", "Secret") => Ok(Dialect::Secret),
        // A wrong version or a mistyped kind: admission knows the words for it.
        _ if is_ours || version.split('/').next() == Some(GROUP) => Ok(Dialect::Ours),
        _ => Err(foreign(&root, kind)),
    }
}

fn foreign(root: &FieldPath, kind: &str) -> FieldError {
    let known = Kind::ALL.iter().map(|kind| kind.as_str()).chain(["Secret"]);
    let fix = match nearest(kind, known) {
        Some("Secret") => "write apiVersion: v1 and kind: Secret".to_owned(),
        Some(meant) => format!("write apiVersion: {API_VERSION} and kind: {meant}"),
        None => format!("keep only kinds of {API_VERSION} and v1 Secrets here"),
    };
    FieldError::new(root.field("kind"), "is not a kind that is read here", fix)
}
