//! `/metrics` in the OpenMetrics text format, with names by Prometheus conventions.

mod measures;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use package_broker_core::{
    broker::Broker,
    telemetry::{self, Telemetry},
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::ConstCounter,
        family::Family,
        gauge::{ConstGauge, Gauge},
    },
    registry::Registry,
};

use self::measures::{Counter, Durations};
use super::{App, route::Route};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteAndStatus {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
}

/// What is counted of requests.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RouteAndStatus, Counter>,
    by_route: Family<OfRoute, Durations>,
    usual: [Usual; Route::LABELS.len()],
    /// Packages that clients said they installed.
    pub(super) installs: Counter,
}

/// What nearly all requests of a route count for, found once and not each time.
struct Usual {
    ok: Counter,
    not_modified: Counter,
    duration: Durations,
}

impl Metrics {
    /// Metrics that have counted nothing.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::with_prefix("package_broker");
        let requests = Family::<RouteAndStatus, Counter>::default();
        registry.register(
            "http_requests",
            "Requests answered, by route and status",
            requests.clone(),
        );
        let by_route = Family::<OfRoute, Durations>::default();
        registry.register(
            "http_request_duration_seconds",
            "Time to the head of the answer",
            by_route.clone(),
        );
        let installs = Counter::default();
        registry.register(
            "installs_notified",
            "Packages that clients said they installed",
            installs.clone(),
        );
        let count = |route, status| {
            let labels = RouteAndStatus { route, status };
            requests.get_or_create(&labels).clone()
        };
        let usual = Route::LABELS.map(|route| Usual {
            ok: count(route, 200),
            not_modified: count(route, 304),
            duration: by_route.get_or_create(&OfRoute { route }).clone(),
        });
        Self {
            registry,
            requests,
            by_route,
            usual,
            installs,
        }
    }

    /// Counts one answer.
    pub(super) fn observe(&self, route: Option<Route<'_>>, status: StatusCode, elapsed: Duration) {
        let label = route.map_or("other", Route::label);
        let usual = route.map(|route| &self.usual[route.number()]);
        match (usual, status) {
            (Some(usual), StatusCode::OK) => usual.ok.increment(),
            (Some(usual), StatusCode::NOT_MODIFIED) => usual.not_modified.increment(),
            _ => {
                let status = status.as_u16();
                let labels = RouteAndStatus {
                    route: label,
                    status,
                };
                self.requests.get_or_create(&labels).increment();
            }
        }
        match usual {
            Some(usual) => usual.duration.observe(elapsed),
            None => self
                .by_route
                .get_or_create(&OfRoute { route: label })
                .observe(elapsed),
        }
    }
}

/// Everything that is measured.
pub(super) async fn scrape(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    let written =
        encode_core(&app, &mut text).and_then(|()| encode(&mut text, &app.metrics.registry));
    if written.is_err() {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let kind =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// What the core counts, read at the time of the scrape.
fn encode_core(app: &App, text: &mut String) -> std::fmt::Result {
    let mut registry = Registry::with_prefix("package_broker");
    register_counters(&app.broker, &mut registry);
    register_gauges(app, &mut registry);
    register_servers(app, &mut registry);
    encode(text, &registry)?;
    // The end mark belongs at the end of the whole text only.
    if let Some(stripped) = text.strip_suffix("# EOF\n") {
        let length = stripped.len();
        text.truncate(length);
    }
    Ok(())
}

/// A counter's name and what it counts.
type Named<'a> = (&'static str, &'static str, &'a telemetry::Counter);

fn register_counters(broker: &Broker, registry: &mut Registry) {
    let t = &broker.telemetry;
    let all = answers(t).into_iter().chain(syncs(t));
    for (name, help, counter) in all.chain(refusals(t)).chain(audit(t)) {
        registry.register(name, help, ConstCounter::new(counter.get()));
    }
}

fn answers(t: &Telemetry) -> [Named<'_>; 10] {
    [
        (
            "document_cache_hits",
            "Package files answered from memory",
            &t.document_hits,
        ),
        (
            "document_cache_misses",
            "Package files read from the database",
            &t.document_misses,
        ),
        (
            "lazy_reads",
            "Names asked of sources on demand",
            &t.lazy_reads,
        ),
        (
            "archive_hits",
            "Archives answered from storage",
            &t.archive_hits,
        ),
        (
            "archive_links",
            "Of these, archives answered with a link to storage",
            &t.archive_links,
        ),
        (
            "archive_fetches",
            "Archives fetched or built",
            &t.archive_fetches,
        ),
        (
            "archive_waits",
            "Archives waited for that another process was fetching",
            &t.archive_waits,
        ),
        (
            "archive_fetched_bytes",
            "Bytes of archives fetched or built",
            &t.archive_bytes,
        ),
        (
            "archive_defects",
            "Archives refused: truncated, oversize or with a wrong checksum",
            &t.archive_defects,
        ),
        (
            "storage_failures",
            "Reads and writes of the archive storage that failed",
            &t.storage_failures,
        ),
    ]
}

fn syncs(t: &Telemetry) -> [Named<'_>; 6] {
    [
        (
            "syncs_succeeded",
            "Syncs that ended well",
            &t.syncs_succeeded,
        ),
        ("syncs_failed", "Syncs that failed", &t.syncs_failed),
        (
            "syncs_elsewhere",
            "Syncs that were not begun, as another process was at them",
            &t.syncs_elsewhere,
        ),
        (
            "claims_lost",
            "Syncs cut off as another process may have taken them over",
            &t.claims_lost,
        ),
        (
            "packages_read",
            "Packages read from sources",
            &t.packages_read,
        ),
        (
            "packages_written",
            "Packages written by syncs",
            &t.packages_written,
        ),
    ]
}

fn refusals(t: &Telemetry) -> [Named<'_>; 3] {
    [
        (
            "auth_failures",
            "Requests with an invalid token",
            &t.auth_failures,
        ),
        (
            "requests_over_limit",
            "Requests refused because their token or address had made too many",
            &t.over_limit,
        ),
        (
            "limits_kept_alone",
            "Limits of requests looked at in this process alone, as the cache did not answer",
            &t.limits_alone,
        ),
    ]
}

fn audit(t: &Telemetry) -> [Named<'_>; 3] {
    [
        (
            "audit_records_written",
            "Records of the audit log that were stored",
            &t.audit_written,
        ),
        (
            "audit_events_lost",
            "Events that there was no room to record",
            &t.audit_lost,
        ),
        (
            "audit_write_failures",
            "Writes of the audit log that failed",
            &t.audit_write_failures,
        ),
    ]
}

fn register_gauges(app: &App, registry: &mut Registry) {
    let broker = &app.broker;
    for (name, help, value) in [
        ("packages", "Names served", broker.catalog.len() as u64),
        ("tokens", "Tokens declared", broker.tokens.len() as u64),
        (
            "repositories_unusable",
            "Declared repositories whose settings or credentials this process cannot read",
            broker.telemetry.repositories_unusable.get(),
        ),
        (
            "audit_records_waiting",
            "Records of the audit log in memory that are not stored yet",
            broker.audit.waiting() as u64,
        ),
        (
            "document_cache_bytes",
            "Bytes of package files in memory",
            broker.documents.weight(),
        ),
        (
            "document_cache_capacity_bytes",
            "The bound of package files in memory",
            broker.documents.capacity(),
        ),
        (
            "manifests_in_force",
            "1 if the manifests as they are now are in force, 0 if they are wrong or could not be put in force",
            u64::from(app.in_force()),
        ),
    ] {
        registry.register(
            name,
            help,
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)),
        );
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

/// How it stands with what the state is kept in.
fn register_servers(app: &App, registry: &mut Registry) {
    let broker = &app.broker;
    let now = broker.database.connections();
    let connections = Family::<OfState, Gauge>::default();
    for (state, number) in [
        ("idle", now.idle),
        ("used", now.open.saturating_sub(now.idle)),
    ] {
        let gauge = connections.get_or_create(&OfState { state });
        gauge.set(i64::from(number));
    }
    registry.register(
        "database_connections",
        "Connections to the database that are open, by what they do",
        connections,
    );
    registry.register(
        "database_connections_max",
        "Connections to the database, at most",
        ConstGauge::new(i64::from(now.most)),
    );
    registry.register(
        "cache_up",
        "1 if the cache answers, 0 if limits are kept in this process alone and changes are noticed a little later",
        ConstGauge::new(i64::from(broker.limits.are_shared())),
    );
    if let Some(bound) = app.stale_after {
        registry.register(
            "memory_age_seconds",
            "How old what is answered from memory may be",
            ConstGauge::new(broker.follower.age().as_secs_f64()),
        );
        registry.register(
            "memory_age_max_seconds",
            "The age from which on clients get 503",
            ConstGauge::new(bound.as_secs_f64()),
        );
    }
}
