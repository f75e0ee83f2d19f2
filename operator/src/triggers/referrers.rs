//! Who names which Secret: there may be thousands of objects, and Secrets change often.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, PoisonError},
};

/// An object that names a Secret of its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Referrer {
    Repository(String),
    Token(String),
}

/// Objects by namespace and name of the Secret. Some may name another by now, or be gone: whoever asks looks at them.
#[derive(Debug, Default)]
pub(super) struct Referrers(Mutex<HashMap<(String, String), HashSet<Referrer>>>);

impl Referrers {
    /// Notes that an object names a Secret.
    pub(super) fn note(&self, namespace: &str, secret: &str, referrer: Referrer) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), secret.to_owned());
        all.entry(key).or_default().insert(referrer);
    }

    /// Those that named a Secret, without those for which `stands` is false: these are forgotten.
    pub(super) fn of(
        &self,
        namespace: &str,
        secret: &str,
        stands: impl Fn(&Referrer) -> bool,
    ) -> Vec<Referrer> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (namespace.to_owned(), secret.to_owned());
        let Some(known) = all.get_mut(&key) else {
            return Vec::new();
        };
        known.retain(stands);
        let found: Vec<Referrer> = known.iter().cloned().collect();
        if found.is_empty() {
            all.remove(&key);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_name_another_by_now_are_forgotten() {
        let referrers = Referrers::default();
        let (ci, lib) = (
            Referrer::Token("ci".to_owned()),
            Referrer::Repository("lib".to_owned()),
        );
        referrers.note("team", "a", ci.clone());
        referrers.note("team", "a", lib.clone());
        referrers.note("team", "a", lib.clone());
        assert_eq!(referrers.of("team", "a", |_| true).len(), 2);
        assert_eq!(referrers.of("other", "a", |_| true), []);
        assert_eq!(referrers.of("team", "a", |who| *who == lib), [lib]);
        assert!(!referrers.of("team", "a", |_| true).contains(&ci));
    }
}
