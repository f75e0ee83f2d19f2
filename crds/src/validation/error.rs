//! One mistake in a document.

use std::fmt;

use super::FieldPath;

/// One mistake: where it is, what is wrong, what to do.
///
/// Shown as `spec.sync.interval: "5" is not a duration; write a number and a unit, for instance 5m`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field; the root when it is the document as a whole.
    pub path: FieldPath,
    /// What is wrong. Reads on from the field's name.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl FieldError {
    /// A mistake at a field.
    pub fn new(path: FieldPath, message: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            path,
            message: message.into(),
            fix: fix.into(),
        }
    }

    /// A mistake from the message of a CEL rule, which has the fix after the last semicolon.
    pub(crate) fn from_rule(path: FieldPath, message: &str) -> Self {
        let (message, fix) = message
            .rsplit_once("; ")
            .unwrap_or((message, "correct the value"));
        Self::new(path, message, fix)
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.segments().is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

impl std::error::Error for FieldError {}
