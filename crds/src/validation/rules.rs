//! The CEL rules of the schema.

use kube_cel::{ErrorKind, ValidationError, validate_compiled};
use serde_json::Value;

use super::{FieldError, FieldPath, Segment, kind::KindSchema};

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
        if !rests_on(&failure, &path, &broken) {
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

/// Whether a failure may be nothing but the consequence of a field that is known to be wrong: it
/// is about such a field, the rule reads one, or it could not be evaluated at all.
fn rests_on(failure: &ValidationError, path: &FieldPath, broken: &[FieldPath]) -> bool {
    let refused = failure.kind == ErrorKind::ValidationFailure;
    broken.iter().any(|broken| {
        !refused || broken.contains(path) || path.contains(broken) || reads(failure, path, broken)
    })
}

/// Whether the rule behind a failure reads the broken field, or the one that holds it. The rule
/// belongs to the path itself or to a node around it: which one, the failure does not say.
fn reads(failure: &ValidationError, path: &FieldPath, broken: &FieldPath) -> bool {
    let mut node = path.parent();
    while let Some(around) = node {
        if around.contains(broken)
            && let Some(Segment::Field(name)) = broken.segments().get(around.segments().len())
            && mentions(&failure.rule, name)
        {
            return true;
        }
        node = around.parent();
    }
    false
}

/// Whether a rule names `self.name`, and not only a longer name that begins with it.
fn mentions(rule: &str, name: &str) -> bool {
    let field = format!("self.{name}");
    rule.match_indices(&field).any(|(at, _)| {
        !rule[at + field.len()..].starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
    })
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

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn a_rule_mentions_whole_names() {
        let rule = "self.type == 'git' || !has(self.sync.mode)";
        assert!(mentions(rule, "type") && mentions(rule, "sync"));
        assert!(!mentions(rule, "typ") && !mentions(rule, "mode"));
    }
}
