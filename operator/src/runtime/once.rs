//! What was done last for an object, so that it is not done again.

use super::remembered::Remembered;

/// Objects that are remembered, at most; when there are so many, it is done once more for each.
const MOST: usize = 50_000;

type Key = (String, String);

/// The last value, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Once(Remembered<Key, String, MOST>);

impl Once {
    /// Whether the last value was another one.
    pub(crate) fn is_new(&self, key: &Key, value: &str) -> bool {
        self.0.all().get(key).is_none_or(|last| last != value)
    }

    /// It was done with this value.
    pub(crate) fn note(&self, key: Key, value: &str) {
        self.0.note(key, value.to_owned());
    }
}
