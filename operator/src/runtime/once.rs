//! What was done last for an object, so that it is not done again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Objects that are remembered, at most; when there are so many, it is done once more for each.
const MOST: usize = 50_000;

type Key = (String, String);

/// The last value, by namespace and name.
#[derive(Debug, Default)]
pub(crate) struct Once(Mutex<HashMap<Key, String>>);

impl Once {
    /// Whether the last value was another one.
    pub(crate) fn is_new(&self, key: &Key, value: &str) -> bool {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(key).is_none_or(|last| last != value)
    }

    /// It was done with this value.
    pub(crate) fn note(&self, key: Key, value: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() >= MOST {
            last.clear();
        }
        last.insert(key, value.to_owned());
    }
}
