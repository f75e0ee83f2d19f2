//! `/livez` and `/readyz`, as kubelet asks for them.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{extract::State, http::StatusCode};
use package_broker_core::domain::names::RepositoryName;

use super::App;

/// Whether the process wants requests.
#[derive(Debug, Default)]
pub(crate) struct Health {
    installed: AtomicBool,
    /// It was ready once: a repository that comes later does not take the others from their clients.
    ready: AtomicBool,
    stopping: AtomicBool,
}

impl Health {
    /// The first installation is in force.
    pub(crate) fn installed(&self) {
        self.installed.store(true, Ordering::Release);
    }

    /// Whether an installation is in force.
    pub(super) fn is_installed(&self) -> bool {
        self.installed.load(Ordering::Acquire)
    }

    /// No new requests, please.
    pub(crate) fn stopping(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// The process runs and its event loop turns.
pub(super) async fn live() -> &'static str {
    "ok\n"
}

/// Ready: an installation is in force, every repository it began with was tried once, and the process is not ending.
/// A repository that fails does not make the broker unready, nor one that is added later: what there was is served.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, String) {
    match not_ready(&app) {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(reason) => (
            StatusCode::SERVICE_UNAVAILABLE,
            format!("not ready: {reason}\n"),
        ),
    }
}

fn not_ready(app: &App) -> Option<String> {
    if app.health.stopping.load(Ordering::Acquire) {
        return Some("shutting down".to_owned());
    }
    if let Some(reason) = app.cannot_serve() {
        return Some(reason.to_owned());
    }
    if app.health.ready.load(Ordering::Acquire) {
        return None;
    }
    let waiting = app.broker.catalog.waiting();
    if waiting.is_empty() {
        app.health.ready.store(true, Ordering::Release);
        return None;
    }
    let names: Vec<&str> = waiting.iter().map(RepositoryName::as_str).collect();
    Some(format!("first sync of {}", names.join(", ")))
}
