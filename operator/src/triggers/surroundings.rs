//! Watches of what stands around pods.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use kube::{Resource, core::PartialObjectMeta, runtime::watcher};

use super::{Triggers, Watches};
use crate::{
    children::{MANAGED_BY, OPERATOR},
    foreign::{HTTPRoute, ServiceMonitor},
    runtime::optional::{Optional, watch_if_there},
    surroundings::{Seen, Watched},
};

impl Triggers {
    /// Starts them: of the operator's own objects, as metadata.
    pub(super) fn watch_surroundings(&self, watches: &mut Watches<'_>) -> Watched {
        Watched {
            policies: self.watch_kind(watches, "NetworkPolicy"),
            budgets: self.watch_kind(watches, "PodDisruptionBudget"),
            autoscalers: self.watch_kind(watches, "HorizontalPodAutoscaler"),
            ingresses: self.watch_kind(watches, "Ingress"),
            routes: self.watch_optional::<HTTPRoute>(watches, "HTTPRoute"),
            monitors: self.watch_optional::<ServiceMonitor>(watches, "ServiceMonitor"),
        }
    }

    fn watch_kind<K>(&self, watches: &mut Watches<'_>, kind: &'static str) -> Seen<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let me = self.clone();
        watches.start(kind, ours(), move |child: &PartialObjectMeta<K>| {
            me.child_seen(child);
        })
    }

    fn watch_optional<K>(
        &self,
        watches: &mut Watches<'_>,
        kind: &'static str,
    ) -> Optional<PartialObjectMeta<K>>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + Send
            + Sync
            + 'static,
    {
        let me = self.clone();
        let from = (watches.client.clone(), watches.api());
        let called = (kind, watches.health.clone());
        watch_if_there(watches.tasks, from, ours(), called, move |child| {
            me.child_seen(child);
        })
    }
}

fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("{MANAGED_BY}={OPERATOR}"))
}
