//! `/metrics` in the OpenMetrics text format. Objects are never named: their number has no bound.

use std::time::Duration;

use kube::runtime::reflector::Store;
use package_broker_crds::{AccessToken, ConditionType, PackageBroker, Repository};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use crate::{context::UnreadableKinds, runtime::conditions::find};

/// Bounds of the histogram of reconciles, in seconds.
const BUCKETS: [f64; 8] = [0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReconcile {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfKind {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReady {
    kind: &'static str,
    ready: String,
    reason: String,
}

/// What is counted as it happens.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    reconciles: Family<OfReconcile, Counter>,
    durations: Family<OfKind, Histogram, fn() -> Histogram>,
    leads: Gauge,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("package_broker_operator");
        let reconciles = Family::<OfReconcile, Counter>::default();
        registry.register(
            "reconciles",
            "Looks at objects, by kind and whether they came to their end",
            reconciles.clone(),
        );
        let durations =
            Family::<OfKind, Histogram, fn() -> Histogram>::new_with_constructor(|| {
                Histogram::new(BUCKETS)
            });
        registry.register(
            "reconcile_duration_seconds",
            "How long looks at objects took",
            durations.clone(),
        );
        let leads = Gauge::default();
        registry.register(
            "leads",
            "1 if this operator works, 0 if it waits for another to end",
            leads.clone(),
        );
        Self {
            registry,
            reconciles,
            durations,
            leads,
        }
    }

    /// Whether this operator works from now on.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }

    /// Counts one look.
    pub(crate) fn reconciled(&self, kind: &'static str, succeeded: bool, took: Duration) {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        self.reconciles
            .get_or_create(&OfReconcile { kind, outcome })
            .inc();
        self.durations
            .get_or_create(&OfKind { kind })
            .observe(took.as_secs_f64());
    }

    /// Everything, with what the objects in these stores say now.
    pub(crate) fn text(&self, stores: &[Kinds]) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let mut registry = Registry::with_prefix("package_broker_operator");
        let objects = Family::<OfReady, Gauge>::default();
        registry.register(
            "objects",
            "Objects by kind, whether they are ready, and why",
            objects.clone(),
        );
        let unreadable = Family::<OfKind, Gauge>::default();
        registry.register(
            "unreadable_objects",
            "Objects that this release cannot read, by kind",
            unreadable.clone(),
        );
        for kinds in stores {
            kinds.count(&objects);
            kinds.count_unreadable(&unreadable);
        }
        encode(&mut text, &registry)?;
        // The end mark belongs at the end of the whole text only.
        if let Some(stripped) = text.strip_suffix("# EOF\n") {
            let length = stripped.len();
            text.truncate(length);
        }
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// What is watched.
#[derive(Clone)]
pub(crate) struct Kinds {
    pub(crate) brokers: Store<PackageBroker>,
    pub(crate) repositories: Store<Repository>,
    pub(crate) tokens: Store<AccessToken>,
    pub(crate) unreadable: UnreadableKinds,
}

impl Kinds {
    fn count_unreadable(&self, objects: &Family<OfKind, Gauge>) {
        let UnreadableKinds {
            brokers,
            repositories,
            tokens,
        } = &self.unreadable;
        for (kind, found) in [
            ("PackageBroker", brokers),
            ("Repository", repositories),
            ("AccessToken", tokens),
        ] {
            let count = i64::try_from(found.count()).unwrap_or(i64::MAX);
            objects.get_or_create(&OfKind { kind }).inc_by(count);
        }
    }

    fn count(&self, objects: &Family<OfReady, Gauge>) {
        let count = |kind, conditions: Option<&[_]>| {
            let ready = conditions.and_then(|all| find(all, ConditionType::Ready));
            let (ready, reason) = ready.map_or(("Unknown", "None"), |ready| {
                (ready.status.as_str(), ready.reason.as_str())
            });
            let labels = OfReady {
                kind,
                ready: ready.to_owned(),
                reason: reason.to_owned(),
            };
            objects.get_or_create(&labels).inc();
        };
        for broker in self.brokers.state() {
            count(
                "PackageBroker",
                broker.status.as_ref().map(|s| &*s.conditions),
            );
        }
        for repository in self.repositories.state() {
            count(
                "Repository",
                repository.status.as_ref().map(|s| &*s.conditions),
            );
        }
        for token in self.tokens.state() {
            count("AccessToken", token.status.as_ref().map(|s| &*s.conditions));
        }
    }
}
