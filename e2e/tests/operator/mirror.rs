//! What there is in the cluster, as watches tell of it: looking at it again and again costs neither the API server nor this
//! machine anything.

use std::{
    collections::BTreeMap,
    sync::{LazyLock, Mutex, Once, PoisonError},
    thread,
    time::Duration,
};

use anyhow::Result;
use package_broker_e2e::process::values_of;
use serde_json::Value;

use super::support::Kube;

/// Every kind that an installation has objects of, as the API server calls it.
const KINDS: [&str; 15] = [
    "api/v1/configmaps",
    "api/v1/persistentvolumeclaims",
    "api/v1/pods",
    "api/v1/secrets",
    "api/v1/services",
    "apis/apps/v1/deployments",
    "apis/apps/v1/replicasets",
    "apis/autoscaling/v2/horizontalpodautoscalers",
    "apis/batch/v1/jobs",
    "apis/networking.k8s.io/v1/ingresses",
    "apis/networking.k8s.io/v1/networkpolicies",
    "apis/package.broker/v1alpha1/accesstokens",
    "apis/package.broker/v1alpha1/packagebrokers",
    "apis/package.broker/v1alpha1/repositories",
    "apis/policy/v1/poddisruptionbudgets",
];
/// Before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(200);

/// What watches told of so far: the objects of each kind, by their uid.
#[derive(Default)]
pub(crate) struct Mirror(Mutex<BTreeMap<&'static str, BTreeMap<String, Value>>>);

impl Mirror {
    /// That of the cluster, which begins when it is first asked for. It is a moment behind.
    pub(crate) fn get() -> &'static Self {
        static MIRROR: LazyLock<Mirror> = LazyLock::new(Mirror::default);
        static BEGUN: Once = Once::new();
        BEGUN.call_once(|| KINDS.into_iter().for_each(|kind| MIRROR.also(kind)));
        &MIRROR
    }

    /// Follows another kind, which the API server must know, from now on.
    pub(crate) fn also(&'static self, kind: &'static str) {
        thread::spawn(move || {
            loop {
                // What went wrong is told by what is not seen.
                let _ = self.follow(kind);
                thread::sleep(PAUSE);
            }
        });
    }

    /// Follows a kind until its watch ends.
    fn follow(&self, kind: &'static str) -> Result<()> {
        let command = Kube::get().command(&["get", "--raw", &format!("/{kind}?watch=1")]);
        let (_kubectl, mut events) = values_of("kubectl get --raw", command)?;
        let mut event = events.next().transpose()?;
        // The first ones tell of all that there is.
        self.with(|all| drop(all.insert(kind, BTreeMap::new())));
        while let Some(mut told) = event {
            self.with(|all| take(all.entry(kind).or_default(), &mut told));
            event = events.next().transpose()?;
        }
        Ok(())
    }

    /// All objects of a namespace.
    pub(crate) fn of(&self, namespace: &str) -> Vec<Value> {
        self.with(|all| {
            let objects = all.values().flat_map(BTreeMap::values);
            let of_it = objects.filter(|object| object["metadata"]["namespace"] == namespace);
            of_it.cloned().collect()
        })
    }

    fn with<T>(
        &self,
        work: impl FnOnce(&mut BTreeMap<&'static str, BTreeMap<String, Value>>) -> T,
    ) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes what an event tells: the object as it is now, or that it is gone.
fn take(objects: &mut BTreeMap<String, Value>, event: &mut Value) {
    let object = event["object"].take();
    let Some(uid) = object["metadata"]["uid"].as_str() else {
        return;
    };
    if event["type"] == "DELETED" {
        objects.remove(uid);
    } else {
        objects.insert(uid.to_owned(), object);
    }
}
