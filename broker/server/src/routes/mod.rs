//! HTTP in, service call, HTTP out.
//!
//! The public port serves Composer's protocol ([`composer`]); the second port serves probes and metrics ([`health`],
//! [`metrics`]) and is not for clients.

mod auth;
mod composer;
mod conditional;
mod encoding;
mod error;
mod health;
pub(crate) mod metrics;
mod public;
mod route;

use std::sync::Arc;

use axum::{Router, http::Uri, routing::get};
use package_broker_core::broker::Broker;

use self::{error::Problem, metrics::Metrics};
pub(crate) use self::{health::Health, public::answer};

/// What every handler shares.
pub(crate) struct App {
    /// The services.
    pub(crate) broker: Broker,
    /// Counters and histograms of requests.
    pub(crate) metrics: Metrics,
    /// Whether requests are welcome.
    pub(crate) health: Health,
}

/// What answers on the second port.
pub(crate) fn operations(app: &Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::scrape))
        .fallback(async |uri: Uri| Problem::no_such_route(uri.path()))
        .with_state(Arc::clone(app))
}
