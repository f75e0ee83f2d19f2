//! YAML and JSON as plain data that remembers where each field stood.
//!
//! Reads what `kubectl` reads: several documents a file, anchors, merge keys, and the words of YAML
//! 1.1 (`yes`, `off`) as booleans. Nesting, size and the growth through anchors are bounded, so
//! that no file can exhaust memory or the stack. A field that appears twice is an error.

mod reader;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use package_broker_crds::validation::FieldPath;
use serde_json::Value;

/// A place in a file; both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One document of a file.
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) positions: Positions,
}

/// Where the fields of a document stood: keys of maps and items of lists.
#[derive(Clone)]
pub(super) struct Positions {
    start: Position,
    fields: HashMap<FieldPath, Position>,
}

impl Positions {
    /// Where a field stands, or the nearest thing around it that does.
    pub(super) fn of(&self, path: &FieldPath) -> Position {
        let mut at = Some(path.clone());
        while let Some(path) = at {
            if let Some(position) = self.fields.get(&path) {
                return *position;
            }
            at = path.parent();
        }
        self.start
    }
}

/// Why a text is not YAML that stands for plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) position: Position,
    /// What is wrong; repeats no values of the file.
    pub(super) message: String,
    pub(super) fix: String,
}

/// The documents of a file; empty ones are left out.
///
/// # Errors
/// At the first place where the text is not well formed, or beyond a bound.
pub(super) fn parse(text: &str) -> Result<Vec<Document>, YamlError> {
    reader::Reader::new(text).documents()
}
