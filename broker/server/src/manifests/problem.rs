//! Mistakes in manifests, as they are shown.

use std::{fmt, path::PathBuf};

/// One mistake: where it is, what is wrong, what to do.
///
/// Shown as `repo.yaml:12: Repository "acme": spec.sync.interval: "5" is not a duration; write …`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The file, as it was given or found; empty when the mistake is in no file.
    pub(crate) file: PathBuf,
    /// Line in the file, counted from 1; 0 when the mistake is in the file as a whole.
    pub(crate) line: usize,
    /// Column in the line, counted from 1; 0 when the line is 0.
    pub(crate) column: usize,
    /// Kind and name, such as `Repository/acme`; the kind alone when there is no name, empty when
    /// there is neither.
    pub(crate) object: String,
    /// The field, such as `spec.packages.include[1]`; empty when it is the document as a whole.
    pub(crate) field: String,
    /// What is wrong. Holds no secrets.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.file.as_os_str().is_empty() {
            write!(f, "{}:", self.file.display())?;
            if self.line > 0 {
                write!(f, "{}:", self.line)?;
            }
            f.write_str(" ")?;
        }
        if let Some((kind, name)) = self.object.split_once('/') {
            write!(f, "{kind} {name:?}: ")?;
        } else if !self.object.is_empty() {
            write!(f, "{}: ", self.object)?;
        }
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        write!(f, "{}; {}", self.message, self.fix)
    }
}

/// All mistakes that were found, never none, in the order of files and lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub(crate) struct ManifestErrors(pub(crate) Vec<Problem>);

impl ManifestErrors {
    /// `Ok` when there are no problems.
    pub(super) fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| (&a.file, a.line, a.column).cmp(&(&b.file, b.line, b.column)));
        Err(Self(problems))
    }
}
