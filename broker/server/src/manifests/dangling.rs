//! What to say when something is not there.

use package_broker_crds::validation::{FieldError, FieldPath, nearest};

use super::Problem;

/// The path through these fields.
pub(super) fn path_of(fields: &[&str]) -> FieldPath {
    fields
        .iter()
        .fold(FieldPath::root(), |path, field| path.field(field))
}

/// The names of one namespace, sorted.
pub(super) fn names_in<'n>(
    keys: impl Iterator<Item = &'n (&'n str, &'n str)>,
    namespace: &str,
) -> Vec<&'n str> {
    let mut names: Vec<&str> = keys
        .filter(|(found, _)| *found == namespace)
        .map(|(_, name)| *name)
        .collect();
    names.sort_unstable();
    names
}

/// A name that nothing has, with what was probably meant.
pub(super) fn dangling(
    path: FieldPath,
    kind: &str,
    name: &str,
    known: &[&str],
    namespace: &str,
) -> FieldError {
    let fix = match (nearest(name, known.iter().copied()), known) {
        (Some(meant), _) => format!("did you mean {meant}?"),
        (None, []) => format!("add a {kind} of that name to the manifests"),
        (None, known) => format!("add it, or name one of: {}", known.join(", ")),
    };
    FieldError::new(
        path,
        format!("there is no {kind} {name:?} in namespace {namespace}"),
        fix,
    )
}

pub(super) fn no_broker() -> Problem {
    Problem {
        message: "there is no PackageBroker among the manifests".to_owned(),
        fix: "add one; an empty spec ({}) will do".to_owned(),
        ..Problem::default()
    }
}
