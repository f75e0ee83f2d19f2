//! YAML and JSON as plain data that remembers where each field stood.
//!
//! Reads what `kubectl` reads: several documents a file, anchors, merge keys, and the words of YAML
//! 1.1 (`yes`, `off`) as booleans. Nesting, size and the growth through anchors are bounded, so
//! that no file can exhaust memory or the stack. A field that appears twice is an error.
//!
//! JSON has a reader of its own, because it is not quite the YAML that it is said to be: `"\ud83d\ude80"`
//! is one character there, and documents may follow each other without a separator.

mod json;
mod reader;
mod scalar;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use package_broker_crds::validation::{FieldPath, Segment};
use serde_json::Value;

/// Deepest nesting of maps and lists. The kinds need 5.
const MAX_DEPTH: usize = 64;
/// Most fields and items in a file, counting again what aliases repeat.
const MAX_NODES: usize = 200_000;

/// A place in a file; both counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

/// One document of a file.
pub(crate) struct Document {
    pub(crate) value: Value,
    pub(crate) positions: Positions,
}

impl Document {
    /// What stands in a file from `start` on; nothing if that is empty.
    fn of(value: Value, start: Position, fields: HashMap<FieldPath, Position>) -> Option<Self> {
        let positions = Positions { start, fields };
        (!value.is_null()).then_some(Self { value, positions })
    }

    /// The items of the list in the field `items`, as documents of their own.
    pub(crate) fn into_items(mut self) -> Vec<Self> {
        let Some(Value::Array(values)) = self.value.get_mut("items").map(Value::take) else {
            return Vec::new();
        };
        let start = self.positions.start;
        let mut items: Vec<Self> = values
            .into_iter()
            .map(|value| Self {
                value,
                positions: Positions {
                    start,
                    fields: HashMap::new(),
                },
            })
            .collect();
        for (path, position) in self.positions.fields {
            if let [Segment::Field(field), Segment::Index(index), within @ ..] = path.segments()
                && field == "items"
                && let Some(item) = items.get_mut(*index)
            {
                if within.is_empty() {
                    item.positions.start = position;
                } else {
                    let path = within.iter().cloned().collect();
                    item.positions.fields.insert(path, position);
                }
            }
        }
        items
    }
}

/// Where the fields of a document stood: keys of maps and items of lists.
#[derive(Clone)]
pub(crate) struct Positions {
    start: Position,
    fields: HashMap<FieldPath, Position>,
}

impl Positions {
    /// Where a field stands, or the nearest thing around it that does.
    pub(crate) fn of(&self, path: &FieldPath) -> Position {
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
pub(crate) struct YamlError {
    pub(crate) position: Position,
    /// What is wrong; repeats no values of the file.
    pub(crate) message: String,
    pub(crate) fix: String,
}

/// The documents of a file; empty ones are left out.
///
/// # Errors
/// At the first place where the text is not well formed, or beyond a bound.
pub(crate) fn parse(text: &str) -> Result<Vec<Document>, YamlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let as_yaml = || reader::Reader::new(text).documents();
    if !json::is_likely(text) {
        return as_yaml();
    }
    // What is no JSON may still be YAML in braces. If it is neither, it was meant as what it stayed for longer.
    json::Reader::new(text).documents().or_else(|json| {
        as_yaml().map_err(|yaml| {
            if yaml.position > json.position {
                yaml
            } else {
                json
            }
        })
    })
}
