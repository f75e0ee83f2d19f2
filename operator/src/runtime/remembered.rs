//! What is remembered of objects, so that it is not found out or done again. There may be any number of them: when there are
//! `MOST`, all is forgotten, and found out once more.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Values by key, `MOST` at most.
#[derive(Debug)]
pub(crate) struct Remembered<K, V, const MOST: usize>(Mutex<HashMap<K, V>>);

impl<K, V, const MOST: usize> Default for Remembered<K, V, MOST> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V, const MOST: usize> Remembered<K, V, MOST> {
    /// What is remembered of a key.
    pub(crate) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
        V: Clone,
    {
        self.all().get(key).cloned()
    }

    /// Remembers a value, in place of the one before.
    pub(crate) fn note(&self, key: K, value: V) {
        self.with_room().insert(key, value);
    }

    /// Forgets a key.
    pub(crate) fn forget<Q>(&self, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.all().remove(key);
    }

    /// All of it, to be looked at or thinned out.
    pub(crate) fn all(&self) -> MutexGuard<'_, HashMap<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it, with room for one more.
    pub(crate) fn with_room(&self) -> MutexGuard<'_, HashMap<K, V>> {
        let mut all = self.all();
        if all.len() >= MOST {
            all.clear();
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_forgotten_when_there_is_too_much() {
        let remembered = Remembered::<&str, u32, 2>::default();
        remembered.note("a", 1);
        remembered.note("b", 2);
        assert_eq!(remembered.get("a"), Some(1));
        remembered.note("c", 3);
        assert_eq!((remembered.get("a"), remembered.get("c")), (None, Some(3)));
        remembered.forget("c");
        assert_eq!(remembered.get("c"), None);
    }
}
