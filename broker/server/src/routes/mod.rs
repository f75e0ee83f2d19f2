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
mod observe;
mod prefix;

use std::sync::Arc;

use axum::{
    Router, middleware,
    routing::{get, post},
};
use package_broker_core::broker::Broker;
use tower::Layer;

use self::metrics::Metrics;
pub(crate) use self::{auth::Peer, health::Health, prefix::WithoutPrefix};

/// What every handler shares.
pub(crate) struct App {
    /// The services.
    pub(crate) broker: Broker,
    /// Counters and histograms of requests.
    pub(crate) metrics: Metrics,
    /// Whether requests are welcome.
    pub(crate) health: Health,
}

/// The service behind the public port, also under the path of `externalUrl`.
pub(crate) type Public = WithoutPrefix<Router>;

/// Builds the service behind the public port.
pub(crate) fn public(app: &Arc<App>) -> Public {
    let router = Router::new()
        .route("/packages.json", get(composer::root))
        .route("/p2/{vendor}/{file}", get(composer::package))
        .route(
            "/dist/{vendor}/{package}/{version}/{file}",
            get(composer::dist),
        )
        .route("/list.json", get(composer::list))
        .route("/search.json", get(composer::search))
        .route("/notify-batch", post(composer::notify_batch))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::wrong_method)
        .with_state(Arc::clone(app))
        .layer(middleware::from_fn_with_state(
            Arc::clone(app),
            observe::observe,
        ));
    prefix::StripPrefix(Arc::clone(&app.broker.catalog)).layer(router)
}

/// Builds the service behind the second port.
pub(crate) fn operations(app: &Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::scrape))
        .fallback(error::no_such_route)
        .with_state(Arc::clone(app))
}
