//! `/livez` and `/readyz`, as kubelet asks for them, and `/metrics`.

use std::{future::Future, net::SocketAddr, sync::Arc};

use anyhow::Context;
use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use crate::{
    metrics::{Kinds, Metrics},
    runtime::health::Health,
};

#[derive(Clone)]
struct Probed {
    health: Health,
    metrics: Arc<Metrics>,
    kinds: Arc<[Kinds]>,
}

/// Listens, and returns what answers.
///
/// # Errors
/// If the address cannot be listened on.
pub(crate) async fn serve(
    address: SocketAddr,
    health: Health,
    metrics: Arc<Metrics>,
    kinds: Arc<[Kinds]>,
) -> anyhow::Result<impl Future<Output = ()> + Send> {
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened on; choose another with --listen")
    })?;
    let routes = Router::new()
        .route("/livez", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(scrape))
        .with_state(Probed {
            health,
            metrics,
            kinds,
        });
    Ok(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "probes are not answered any more");
        }
    })
}

async fn live(State(probed): State<Probed>) -> (StatusCode, String) {
    told(probed.health.is_stuck())
}

async fn ready(State(probed): State<Probed>) -> (StatusCode, String) {
    told(probed.health.is_waiting())
}

async fn scrape(State(probed): State<Probed>) -> Response {
    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match probed.metrics.text(&probed.kinds) {
        Ok(text) => ([(header::CONTENT_TYPE, KIND)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn told(trouble: Option<String>) -> (StatusCode, String) {
    match trouble {
        None => (StatusCode::OK, "ok\n".to_owned()),
        Some(trouble) => (StatusCode::SERVICE_UNAVAILABLE, format!("{trouble}\n")),
    }
}
