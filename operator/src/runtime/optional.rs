//! Watches of kinds that a cluster may not have: they begin when the kind is there.

use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use kube::{
    Api, Client, Resource,
    runtime::{WatchStreamExt, reflector::Store, watcher},
};
use tokio::{sync::watch, task::JoinSet};

use super::{
    health::Health,
    watches::{Watchable, begun, prepare},
};

/// Between two looks for a kind that was not there. Whoever installs it waits for this long at most.
const AGAIN: Duration = Duration::from_mins(1);
/// Between two questions that were not answered.
const SOON: Duration = Duration::from_secs(2);

/// What is known of a kind.
#[derive(Debug)]
enum Known<K: Resource<DynamicType = ()> + 'static> {
    /// Nothing yet.
    Nothing,
    /// The cluster does not have it.
    Missing,
    /// It is watched.
    Watched(Store<K>),
}

/// Objects of a kind that may not be there.
#[derive(Debug)]
pub(crate) struct Optional<K: Resource<DynamicType = ()> + 'static>(watch::Receiver<Known<K>>);

impl<K> Optional<K>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    /// The objects; none if the cluster does not have the kind.
    pub(crate) fn store(&self) -> Option<Store<K>> {
        match &*self.0.borrow() {
            Known::Watched(store) => Some(store.clone()),
            Known::Nothing | Known::Missing => None,
        }
    }

    /// Waits until it is known whether the cluster has the kind and, if so, all objects were seen once.
    pub(crate) async fn complete(&self) {
        let mut known = self.0.clone();
        let known = known.wait_for(|known| !matches!(known, Known::Nothing));
        // It ends early only when the watch does, and then the process does too.
        let _ = known.await.map(drop);
        if let Some(store) = self.store() {
            let _ = store.wait_until_ready().await;
        }
    }
}

/// Watches objects as [`watch`](super::watches::watch) does, as soon as the cluster has their kind.
pub(crate) fn watch_if_there<K>(
    tasks: &mut JoinSet<()>,
    (client, api): (Client, Api<K>),
    config: watcher::Config,
    (kind, health): (&'static str, Health),
    seen: impl Fn(&K) + Send + 'static,
) -> Optional<K>
where
    K: Watchable + Resource<Scope = NamespaceResourceScope>,
{
    let (sender, receiver) = watch::channel(Known::Nothing);
    tasks.spawn(async move {
        loop {
            match is_there::<K>(&client).await {
                Ok(true) => break,
                Ok(false) => {
                    sender.send_replace(Known::Missing);
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => {
                    tracing::warn!(kind, %error, "no word of whether the cluster has this kind; it is asked again");
                    tokio::time::sleep(SOON).await;
                }
            }
        }
        let events = |_| begun(watcher(api, config)).default_backoff();
        let (store, watching) = prepare(events, health.watch(kind), |_| {}, seen);
        sender.send_replace(Known::Watched(store));
        watching.await;
    });
    Optional(receiver)
}

/// Whether the cluster has a kind in the version that is meant. Everybody may ask that.
async fn is_there<K: Resource<DynamicType = ()>>(client: &Client) -> Result<bool, kube::Error> {
    match client.list_api_group_resources(&K::api_version(&())).await {
        Ok(list) => Ok(list.resources.iter().any(|one| one.kind == K::kind(&()))),
        // What the API server says of a group that it does not have is no status: only the code tells.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(false),
        Err(error) => Err(error),
    }
}
