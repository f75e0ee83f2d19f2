//! One look at every request: its id, its count, its time, and a log line where it went wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use super::App;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, answers with it, counts and times the answer.
pub(super) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(&request);
    let route = request.extensions().get::<MatchedPath>().cloned();
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let method = request.method().clone();
    let path = tracing::enabled!(tracing::Level::INFO).then(|| request.uri().path().to_owned());
    let mut response = next.run(request).instrument(span.clone()).await;
    let elapsed = started.elapsed();
    let status = response.status();
    app.metrics.observe(
        route.as_ref().map_or("", MatchedPath::as_str),
        status,
        elapsed,
    );
    span.in_scope(|| {
        let path = path.unwrap_or_default();
        let seconds = elapsed.as_secs_f64();
        if status.is_server_error() {
            tracing::warn!(%method, path, status = status.as_u16(), seconds, "request failed");
        } else if status.is_client_error() && status != StatusCode::NOT_FOUND {
            tracing::info!(%method, path, status = status.as_u16(), seconds, "request refused");
        } else {
            tracing::debug!(%method, path, status = status.as_u16(), seconds, "request");
        }
    });
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// The id a proxy gave, if it is short and plain; else one of ours, unique in this process and unlikely elsewhere.
fn request_id(request: &Request) -> HeaderValue {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let given = request.headers().get(&REQUEST_ID).filter(|id| {
        (1..=64).contains(&id.len())
            && id
                .as_bytes()
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
    });
    given.cloned().unwrap_or_else(|| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let text = format!("{:08x}{number:012x}", process_tag());
        HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
    })
}

/// Tells the ids of two processes apart.
fn process_tag() -> u32 {
    static TAG: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *TAG.get_or_init(|| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        now.subsec_nanos() ^ std::process::id().rotate_left(16)
    })
}
