//! The verdict an API server would give on a document, without one.
//!
//! The same generated schema is applied in the same order as there: nulls of optional fields are
//! dropped, defaults filled in, then types and bounds checked, then the CEL rules. Unknown fields
//! are errors, as with `kubectl apply`. Unlike a server this reports everything that can be said
//! at once, and says for each mistake what to write instead.

mod defaults;
mod error;
mod kind;
mod metadata;
mod nearest;
mod path;
mod rules;
mod structure;
#[cfg(test)]
mod tests;

pub use error::FieldError;
pub use kind::Kind;
pub use metadata::{check_metadata, metadata_schema};
pub use nearest::nearest;
pub use path::{FieldPath, Segment};
pub use structure::Structure;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{API_VERSION, AccessToken, PackageBroker, Repository};

/// A document that passed every check, with the defaults filled in.
#[derive(Clone, Debug, PartialEq)]
pub enum Admitted {
    /// A `PackageBroker`.
    PackageBroker(Box<PackageBroker>),
    /// A `Repository`.
    Repository(Box<Repository>),
    /// An `AccessToken`.
    AccessToken(Box<AccessToken>),
}

/// Checks a document as at its creation.
///
/// # Errors
/// All mistakes that were found, in the order of the checks; never an empty list. The values of
/// fields that may hold secrets are not repeated.
pub fn admit(document: &Value) -> Result<Admitted, Vec<FieldError>> {
    check(document, None)
}

/// Checks a document as a change of `old`: like [`admit`], and what cannot change did not.
///
/// # Errors
/// As [`admit`]; also when `old` and `new` are not the same object.
pub fn admit_update(old: &Value, new: &Value) -> Result<Admitted, Vec<FieldError>> {
    for field in ["kind", "apiVersion"] {
        if old.get(field) != new.get(field) {
            return Err(vec![FieldError::new(
                FieldPath::root().field(field),
                "is not that of the object to change",
                "compare an object with its own earlier form",
            )]);
        }
    }
    check(new, Some(old))
}

fn check(document: &Value, old: Option<&Value>) -> Result<Admitted, Vec<FieldError>> {
    let kind = kind_of(document).map_err(|error| vec![error])?;
    let schema = kind.schema().map_err(|problem| {
        vec![FieldError::new(
            FieldPath::root(),
            problem,
            "report this as a defect of the program",
        )]
    })?;
    let document = schema.structure.complete(document);
    let old = old.map(|old| schema.structure.complete(old));

    let mut errors = schema.structure.check(&document);
    errors.extend(check_metadata(&document));
    rules::check(schema, &document, old.as_ref(), &mut errors);
    if errors.is_empty() {
        typed(kind, document)
    } else {
        Err(errors)
    }
}

fn kind_of(document: &Value) -> Result<Kind, FieldError> {
    let text = |field: &str| {
        document
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    if text("apiVersion") != API_VERSION {
        return Err(FieldError::new(
            FieldPath::root().field("apiVersion"),
            format!("is not {API_VERSION}"),
            format!("write apiVersion: {API_VERSION}"),
        ));
    }
    Kind::named(text("kind")).ok_or_else(|| {
        let fix = match nearest(text("kind"), Kind::ALL.iter().map(|kind| kind.as_str())) {
            Some(kind) => format!("did you mean {kind}?"),
            None => "write PackageBroker, Repository or AccessToken".to_owned(),
        };
        FieldError::new(
            FieldPath::root().field("kind"),
            "is not a kind of this group",
            fix,
        )
    })
}

fn typed(kind: Kind, document: Value) -> Result<Admitted, Vec<FieldError>> {
    match kind {
        Kind::PackageBroker => read(document).map(Admitted::PackageBroker),
        Kind::Repository => read(document).map(Admitted::Repository),
        Kind::AccessToken => read(document).map(Admitted::AccessToken),
    }
}

/// The types and the schema have one source, so this fails only for what the schema cannot say,
/// such as an `expiresAt` on the 31st of February.
fn read<T: DeserializeOwned>(document: Value) -> Result<Box<T>, Vec<FieldError>> {
    serde_json::from_value(document)
        .map(Box::new)
        .map_err(|error| {
            vec![FieldError::new(
                FieldPath::root().field("spec"),
                error.to_string(),
                "correct the value",
            )]
        })
}
