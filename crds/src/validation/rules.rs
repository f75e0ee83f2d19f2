//! The CEL rules of the schema.

use kube_cel::{ErrorKind, ValidationError, validate_compiled};
use serde_json::Value;

use super::{FieldError, FieldPath, kind::KindSchema};

/// Evaluates the rules and adds what they refuse.
///
/// An API server does not evaluate rules on a document whose structure is wrong. Here the rules
/// on untouched parts still speak, so that one run reports as much as can be said for certain.
pub(super) fn check(
    schema: &KindSchema,
    document: &Value,
    old: Option<&Value>,
    errors: &mut Vec<FieldError>,
) {
    let Err(failures) = validate_compiled(&schema.rules, document, old) else {
        return;
    };
    let broken: Vec<FieldPath> = errors.iter().map(|error| error.path.clone()).collect();
    for failure in failures {
        let path = scope(&failure);
        let touches_broken = broken
            .iter()
            .any(|broken| broken.contains(&path) || path.contains(broken));
        if !touches_broken {
            errors.push(error_at(path, &failure));
        }
    }
}

/// The field a failure is about. Rules at the root judge the name: see `short_name_rule`.
fn scope(failure: &ValidationError) -> FieldPath {
    if failure.field_path.is_empty() {
        return FieldPath::root().field("metadata").field("name");
    }
    FieldPath::parse(&failure.field_path)
}

fn error_at(path: FieldPath, failure: &ValidationError) -> FieldError {
    match failure.kind {
        ErrorKind::ValidationFailure => FieldError::from_rule(path, &failure.message),
        // Fail closed, as the API server does: a rule that cannot be evaluated is not satisfied.
        _ => FieldError::new(
            path,
            format!("cannot be checked: {}", failure.message),
            "correct the value",
        ),
    }
}
