//! A document and where it stood.

use std::{path::Path, sync::Arc};

use package_broker_crds::validation::{Admitted, FieldError, FieldPath};
use serde_json::Value;

use super::Problem;
use crate::yaml::Positions;

/// An admitted document of our kinds.
pub(super) struct Object {
    pub(super) key: ObjectKey,
    pub(super) admitted: Admitted,
    /// As it was written, for comparison with its next form.
    pub(super) document: Value,
    pub(super) source: Source,
}

/// What no two documents have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ObjectKey {
    pub(super) kind: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

impl ObjectKey {
    /// The key of a Secret.
    pub(super) fn secret(namespace: &str, name: &str) -> Self {
        Self {
            kind: "Secret".to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        }
    }

    pub(super) fn of(document: &Value) -> Self {
        let text =
            |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let metadata = |field: &str| {
            document
                .get("metadata")
                .and_then(|metadata| metadata.get(field))
        };
        let namespace = match text(metadata("namespace")) {
            none if none.is_empty() => "default".to_owned(),
            namespace => namespace,
        };
        Self {
            kind: text(document.get("kind")),
            namespace,
            name: text(metadata("name")),
        }
    }

    fn label(&self) -> String {
        match self.name.as_str() {
            "" => self.kind.clone(),
            name => format!("{}/{name}", self.kind),
        }
    }
}

/// Where a document came from.
#[derive(Clone)]
pub(super) struct Source {
    file: Arc<Path>,
    positions: Positions,
    label: String,
}

impl Source {
    pub(super) fn new(file: &Arc<Path>, positions: Positions, key: &ObjectKey) -> Self {
        Self {
            file: Arc::clone(file),
            positions,
            label: key.label(),
        }
    }

    /// A mistake in this document.
    pub(super) fn problem(&self, error: FieldError) -> Problem {
        let position = self.positions.of(&error.path);
        Problem {
            file: self.file.to_path_buf(),
            line: position.line,
            column: position.column,
            object: self.label.clone(),
            field: error.path.to_string(),
            message: error.message,
            fix: error.fix,
        }
    }

    /// `file:line` of the document.
    pub(super) fn place(&self) -> String {
        format!(
            "{}:{}",
            self.file.display(),
            self.positions.of(&FieldPath::root()).line
        )
    }
}
