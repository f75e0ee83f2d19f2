//! Which documents are read.

use std::sync::OnceLock;

use package_broker_crds::{
    API_VERSION, GROUP,
    validation::{FieldError, FieldPath, Kind, Structure, nearest},
};
use serde_json::{Value, json};

/// Whose schema a document is held against.
pub(super) enum Dialect {
    Ours,
    Secret,
    /// A `v1` `List`, as `kubectl get` writes it: its items count as documents.
    List,
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
        ("v1", "List") => Ok(Dialect::List),
        // A wrong version or a mistyped kind: admission knows the words for it.
        _ if is_ours || version.split('/').next() == Some(GROUP) => Ok(Dialect::Ours),
        _ => Err(foreign(&root, kind)),
    }
}

fn foreign(root: &FieldPath, kind: &str) -> FieldError {
    let known = Kind::ALL.iter().map(|kind| kind.as_str()).chain(["Secret"]);
    let fix = match nearest(kind, known) {
        _ if kind.ends_with("List") => {
            "write its items as documents of their own, or apiVersion: v1 and kind: List".to_owned()
        }
        Some("Secret") => "write apiVersion: v1 and kind: Secret".to_owned(),
        Some(meant) => format!("write apiVersion: {API_VERSION} and kind: {meant}"),
        None => format!("keep only kinds of {API_VERSION} and v1 Secrets here"),
    };
    FieldError::new(root.field("kind"), "is not a kind that is read here", fix)
}

/// A schema of ours for what the cluster itself has a kind for, compiled when first needed.
pub(super) type Compiled = OnceLock<Result<Structure, String>>;

/// The structure that a schema describes.
///
/// # Errors
/// If the schema is wrong, which is nobody's mistake but ours.
pub(super) fn compiled(
    cell: &'static Compiled,
    schema: fn() -> Value,
) -> Result<&'static Structure, FieldError> {
    let structure = cell.get_or_init(|| Structure::new(&schema()));
    structure.as_ref().map_err(|problem| {
        let fix = "report this as a defect of the program";
        FieldError::new(FieldPath::root(), problem, fix)
    })
}

/// Checks a `v1` `List` but for its items.
///
/// # Errors
/// All mistakes in it.
pub(super) fn check_list(document: &Value) -> Result<(), Vec<FieldError>> {
    static STRUCTURE: Compiled = Compiled::new();
    let structure = compiled(&STRUCTURE, list_schema).map_err(|error| vec![error])?;
    let errors = structure.check(&structure.complete(document));
    if errors.is_empty() {
        Ok(())
    } else {
        Err(errors)
    }
}

fn list_schema() -> Value {
    json!({
        "type": "object",
        "required": ["items"],
        "properties": {
            "apiVersion": {"type": "string", "description": "Always v1."},
            "kind": {"type": "string", "description": "Always List."},
            "metadata": {
                "type": "object",
                "properties": {
                    "continue": {"type": "string"},
                    "remainingItemCount": {"type": "integer"},
                    "resourceVersion": {"type": "string"},
                    "selfLink": {"type": "string"},
                },
            },
            "items": {"type": "array", "description": "The documents.", "items": {"type": "object"}},
        },
    })
}
