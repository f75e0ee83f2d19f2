//! Watches: each on its own, with its own backoff, so that one that fails holds up no other.

use std::{
    collections::BTreeSet,
    fmt::Debug,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{Stream, StreamExt, stream};
use kube::{
    Api, Resource,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher,
    },
};
use serde::de::DeserializeOwned;
use tokio::{sync::Notify, task::JoinSet};

use super::{
    guard::{Unreadable, guarded},
    health::Progress,
};

/// Objects that are to be looked at, by namespace and name. Each is there once, however often it was asked for: nothing
/// piles up while nobody looks.
#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<BTreeSet<(String, String)>>,
    more: Notify,
}

/// Has objects looked at.
#[derive(Debug)]
pub(crate) struct Trigger<K>(Arc<Queue>, PhantomData<fn(K)>);

impl<K> Clone for Trigger<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0), PhantomData)
    }
}

/// What a trigger reaches.
#[derive(Debug)]
pub(crate) struct Wanted<K>(Arc<Queue>, PhantomData<fn() -> K>);

impl<K: Resource<DynamicType = ()>> Trigger<K> {
    /// A trigger, and what it reaches.
    pub(crate) fn new() -> (Self, Wanted<K>) {
        let queue = Arc::<Queue>::default();
        (
            Self(Arc::clone(&queue), PhantomData),
            Wanted(queue, PhantomData),
        )
    }

    /// Has an object looked at.
    pub(crate) fn look_at(&self, name: &str, namespace: &str) {
        let mut waiting = lock(&self.0.waiting);
        waiting.insert((namespace.to_owned(), name.to_owned()));
        drop(waiting);
        self.0.more.notify_one();
    }
}

impl<K: Resource<DynamicType = ()> + 'static> Wanted<K> {
    /// The objects, as they are asked for. It never ends.
    pub(crate) fn stream(self) -> impl Stream<Item = ObjectRef<K>> + Send + 'static {
        stream::unfold(self, |wanted| async {
            loop {
                let next = lock(&wanted.0.waiting).pop_first();
                if let Some((namespace, name)) = next {
                    let object = ObjectRef::new(&name).within(&namespace);
                    return Some((object, wanted));
                }
                wanted.0.more.notified().await;
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A kind that can be watched and kept.
pub(crate) trait Watchable:
    Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
}

impl<K> Watchable for K where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + Sync + 'static
{
}

/// Watches all objects that an API shows: keeps them in a store, without what `slim` takes away, and tells `seen` of each
/// that came, changed or went.
pub(crate) fn watch<K>(
    tasks: &mut JoinSet<()>,
    (api, config): (Api<K>, watcher::Config),
    progress: Progress,
    slim: fn(&mut K),
    seen: impl Fn(&K) + Send + 'static,
) -> Store<K>
where
    K: Watchable,
{
    let events = |_| begun(watcher(api, config)).default_backoff();
    let (store, watching) = prepare(events, progress, slim, seen);
    tasks.spawn(watching);
    store
}

/// The same of a kind of ours. Objects that cannot be read are noted in `unreadable`, which is told to `others`.
pub(crate) fn watch_guarded<K>(
    tasks: &mut JoinSet<()>,
    (api, config): (Api<DeserializeGuard<K>>, watcher::Config),
    progress: Progress,
    (unreadable, others): (Unreadable, impl Fn() + Send + 'static),
    seen: impl Fn(&K) + Send + 'static,
) -> Store<K>
where
    K: Watchable,
{
    let events = |store| guarded((api, config), unreadable, store, others);
    let (store, watching) = prepare(events, progress, |_| {}, seen);
    tasks.spawn(watching);
    store
}

/// The store of a watch, and what fills it. That never ends.
pub(super) fn prepare<K, E>(
    events: impl FnOnce(Store<K>) -> E,
    progress: Progress,
    slim: fn(&mut K),
    seen: impl Fn(&K) + Send + 'static,
) -> (Store<K>, impl Future<Output = ()> + Send + 'static)
where
    E: Stream<Item = watcher::Result<watcher::Event<K>>> + Send + 'static,
    K: Watchable,
{
    let (store, writer) = reflector::store();
    let events = events(store.clone())
        .modify(move |object| {
            // Half of what metadata takes, and nobody here reads it.
            object.meta_mut().managed_fields = None;
            slim(object);
        })
        .reflect(writer)
        .inspect(move |event| match event {
            // Not all was seen yet.
            Ok(watcher::Event::Init | watcher::Event::InitApply(_)) => {}
            Ok(_) => progress.made(),
            Err(error) => progress.failed(error),
        })
        .touched_objects();
    let watching = async move {
        let mut events = std::pin::pin!(events);
        while let Some(event) = events.next().await {
            if let Ok(object) = event {
                seen(&object);
            }
        }
    };
    (store, watching)
}

/// Tells of the beginning of a list with the first of what it has. The watcher does so before it asks for any: whatever
/// came of that would count as progress, and each attempt as the first.
pub(super) fn begun<K>(
    events: impl Stream<Item = watcher::Result<watcher::Event<K>>>,
) -> impl Stream<Item = watcher::Result<watcher::Event<K>>> {
    let mut begins = false;
    events.flat_map(move |event| {
        let told = match event {
            Ok(watcher::Event::Init) => {
                begins = true;
                [None, None]
            }
            Ok(event) => {
                let first = std::mem::take(&mut begins).then_some(Ok(watcher::Event::Init));
                [first, Some(Ok(event))]
            }
            Err(error) => [None, Some(Err(error))],
        };
        stream::iter(told.into_iter().flatten())
    })
}

#[cfg(test)]
mod tests {
    use package_broker_crds::Repository;

    use super::*;

    #[tokio::test]
    async fn a_list_begins_when_something_has_come_of_it() {
        use watcher::Event::{Init, InitApply, InitDone};
        let events = vec![
            Ok(Init),
            Err(watcher::Error::NoResourceVersion),
            Ok(Init),
            Err(watcher::Error::NoResourceVersion),
            Ok(Init),
            Ok(InitApply("a")),
            Ok(InitDone),
        ];
        let told: Vec<_> = begun(stream::iter(events)).collect().await;
        let told: Vec<String> = told
            .into_iter()
            .map(|event| event.map_or("failed".to_owned(), |event| format!("{event:?}")))
            .collect();
        assert_eq!(
            told,
            ["failed", "failed", "Init", "InitApply(\"a\")", "InitDone"]
        );
    }

    #[tokio::test]
    async fn what_is_asked_for_twice_is_looked_at_once() {
        let (trigger, wanted) = Trigger::<Repository>::new();
        for _ in 0..1_000 {
            trigger.look_at("a", "team");
            trigger.look_at("b", "team");
        }
        let mut stream = std::pin::pin!(wanted.stream());
        let mut names = Vec::new();
        for _ in 0..2 {
            names.push(stream.next().await.unwrap().name);
        }
        assert_eq!(names, ["a", "b"]);
        assert!(futures::poll!(stream.next()).is_pending());
        trigger.look_at("a", "team");
        assert_eq!(stream.next().await.unwrap().name, "a");
    }
}
