//! Objects that this release cannot read, as after a step back from a later one: each is kept out of the way of all others,
//! and none of them counts as gone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::watches::{Watchable, begun};
use futures::{Stream, StreamExt};
use kube::{
    Api, Resource, ResourceExt,
    core::{DeserializeGuard, error_boundary::InvalidObject},
    runtime::{
        WatchStreamExt,
        reflector::{ObjectRef, Store},
        watcher::{self, Event},
    },
};

/// Namespace and name of an object.
pub(crate) type Key = (String, String);

/// The objects of a kind that cannot be read, and why.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unreadable(Arc<Mutex<BTreeMap<Key, String>>>);

impl Unreadable {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of them, with the reasons.
    pub(crate) fn all(&self) -> Vec<(Key, String)> {
        let all = self.lock();
        all.iter()
            .map(|(key, error)| (key.clone(), error.clone()))
            .collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }
}

/// The events of a watch, without those of objects that cannot be read: these are noted, and `told` is called whenever
/// there are others. What such an object was before stays in the store.
pub(crate) fn guarded<K>(
    (api, config): (Api<DeserializeGuard<K>>, watcher::Config),
    unreadable: Unreadable,
    store: Store<K>,
    told: impl Fn() + Send + 'static,
) -> impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static
where
    K: Watchable,
{
    let mut guard = Guard {
        unreadable,
        store,
        listed: BTreeMap::new(),
    };
    let events = begun(watcher::watcher(api, config)).default_backoff();
    events.filter_map(move |event| {
        let before = guard.unreadable.lock().clone();
        let event = event.map(|event| guard.take(event)).transpose();
        if *guard.unreadable.lock() != before {
            told();
        }
        std::future::ready(event)
    })
}

struct Guard<K: Resource<DynamicType = ()> + 'static> {
    unreadable: Unreadable,
    store: Store<K>,
    /// Those of a list that is still to end.
    listed: BTreeMap<Key, String>,
}

impl<K: Resource<DynamicType = ()> + Clone> Guard<K> {
    fn take(&mut self, event: Event<DeserializeGuard<K>>) -> Option<Event<K>> {
        match event {
            Event::Init => {
                self.listed.clear();
                Some(Event::Init)
            }
            Event::InitApply(DeserializeGuard(Ok(object))) => Some(Event::InitApply(object)),
            Event::InitApply(DeserializeGuard(Err(invalid))) => {
                // Noted at once: the list takes the place of the store before it is known to have ended.
                let (key, error) = told(&invalid, &K::kind(&()));
                self.unreadable.lock().insert(key.clone(), error.clone());
                let before = self.known(&key);
                self.listed.insert(key, error);
                before.map(Event::InitApply)
            }
            Event::InitDone => {
                *self.unreadable.lock() = std::mem::take(&mut self.listed);
                Some(Event::InitDone)
            }
            Event::Apply(DeserializeGuard(Ok(object))) => {
                self.unreadable.lock().remove(&key_of(&object));
                Some(Event::Apply(object))
            }
            Event::Apply(DeserializeGuard(Err(invalid))) => {
                let (key, error) = told(&invalid, &K::kind(&()));
                self.unreadable.lock().insert(key, error);
                None
            }
            Event::Delete(DeserializeGuard(Ok(object))) => {
                self.unreadable.lock().remove(&key_of(&object));
                Some(Event::Delete(object))
            }
            Event::Delete(DeserializeGuard(Err(invalid))) => {
                let (key, _) = told(&invalid, &K::kind(&()));
                self.unreadable.lock().remove(&key);
                self.known(&key).map(Event::Delete)
            }
        }
    }

    /// What an object was when it could be read last.
    fn known(&self, (namespace, name): &Key) -> Option<K> {
        let known = self.store.get(&ObjectRef::new(name).within(namespace))?;
        Some(known.as_ref().clone())
    }
}

fn key_of<K: Resource>(object: &K) -> Key {
    (object.namespace().unwrap_or_default(), object.name_any())
}

fn told(invalid: &InvalidObject, kind: &str) -> (Key, String) {
    let metadata = &invalid.metadata;
    let namespace = metadata.namespace.clone().unwrap_or_default();
    let name = metadata.name.clone().unwrap_or_default();
    tracing::error!(
        kind,
        namespace,
        name,
        error = invalid.error,
        "an object cannot be read; it is left as it is"
    );
    ((namespace, name), invalid.error.clone())
}

#[cfg(test)]
mod tests {
    use kube::runtime::reflector;
    use package_broker_crds::Repository;
    use serde_json::{Value, json};

    use super::*;

    fn object(name: &str, type_: &str) -> DeserializeGuard<Repository> {
        let object: Value = json!({
            "apiVersion": "package.broker/v1alpha1", "kind": "Repository",
            "metadata": {"name": name, "namespace": "team"},
            "spec": {"brokerRef": {"name": "main"}, "type": type_, "url": "https://git.example.com/a.git"},
        });
        serde_json::from_value(object).unwrap()
    }

    /// Feeds events, and tells what is in the store and what is not readable after each.
    fn states(events: Vec<Event<DeserializeGuard<Repository>>>) -> Vec<(Vec<String>, Vec<String>)> {
        let (store, mut writer) = reflector::store::<Repository>();
        let unreadable = Unreadable::default();
        let mut guard = Guard {
            unreadable: unreadable.clone(),
            store: store.clone(),
            listed: BTreeMap::new(),
        };
        let names = || {
            let mut names: Vec<String> = store.state().iter().map(|it| it.name_any()).collect();
            names.sort_unstable();
            names
        };
        let state = |event| {
            if let Some(event) = guard.take(event) {
                writer.apply_watcher_event(&event);
            }
            let wrong = unreadable.all().into_iter().map(|((_, name), _)| name);
            (names(), wrong.collect())
        };
        events.into_iter().map(state).collect()
    }

    fn state(there: &[&str], unreadable: &[&str]) -> (Vec<String>, Vec<String>) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        (owned(there), owned(unreadable))
    }

    #[test]
    fn one_that_cannot_be_read_holds_up_no_other_and_is_not_gone() {
        let seen = states(vec![
            Event::Init,
            Event::InitApply(object("a", "git")),
            Event::InitApply(object("b", "fossil")),
            Event::InitDone,
            Event::Apply(object("b", "git")),
            Event::Apply(object("a", "fossil")),
            // The connection is lost: all are listed again.
            Event::Init,
            Event::InitApply(object("a", "fossil")),
            Event::InitApply(object("b", "git")),
            Event::InitDone,
            Event::Delete(object("a", "fossil")),
        ]);
        assert_eq!(seen[3], state(&["a"], &["b"]));
        assert_eq!(seen[4], state(&["a", "b"], &[]));
        assert_eq!(seen[5], state(&["a", "b"], &["a"]));
        for during in &seen[6..10] {
            assert_eq!(*during, state(&["a", "b"], &["a"]));
        }
        assert_eq!(seen[10], state(&["b"], &[]));
    }

    #[test]
    fn one_that_went_while_nobody_looked_is_forgotten() {
        let seen = states(vec![
            Event::Init,
            Event::InitApply(object("a", "fossil")),
            Event::InitDone,
            Event::Init,
            Event::InitDone,
        ]);
        assert_eq!(seen[2], state(&[], &["a"]));
        assert_eq!(seen[3], state(&[], &["a"]));
        assert_eq!(seen[4], state(&[], &[]));
    }
}
