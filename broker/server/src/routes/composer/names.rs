//! `GET /list.json` and `GET /search.json`.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Query, State},
    http::{HeaderValue, header},
    response::Response,
};
use serde::{Deserialize, Serialize};

use super::super::{
    App,
    auth::Authenticated,
    error::{JSON, Problem},
};

/// The longest question, in bytes.
const MAX_QUERY: usize = 1_000;

/// The query of a list.
#[derive(Deserialize)]
pub(in super::super) struct ListQuery {
    vendor: Option<String>,
    filter: Option<String>,
}

/// The names the asker may see.
pub(in super::super) async fn list(
    State(app): State<Arc<App>>,
    Authenticated(grant): Authenticated,
    Query(query): Query<ListQuery>,
) -> Result<Response, Problem> {
    bounded([query.vendor.as_deref(), query.filter.as_deref()])?;
    let work = move || {
        app.broker
            .search
            .list(&grant, query.vendor.as_deref(), query.filter.as_deref())
    };
    answer(work).await
}

/// The query of a search.
#[derive(Deserialize)]
pub(in super::super) struct SearchQuery {
    #[serde(default)]
    q: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The packages that hold every word of the question.
pub(in super::super) async fn search(
    State(app): State<Arc<App>>,
    Authenticated(grant): Authenticated,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Problem> {
    bounded([Some(&query.q), query.kind.as_deref()])?;
    answer(move || {
        app.broker
            .search
            .search(&grant, &query.q, query.kind.as_deref())
    })
    .await
}

fn bounded<const N: usize>(texts: [Option<&str>; N]) -> Result<(), Problem> {
    if texts.iter().flatten().any(|text| text.len() > MAX_QUERY) {
        return Err(Problem::bad_request(format!(
            "a query is at most {MAX_QUERY} characters long"
        )));
    }
    Ok(())
}

/// Goes over all names, so it is done off the runtime.
async fn answer<T: Serialize + Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Response, Problem> {
    let json =
        tokio::task::spawn_blocking(move || serde_json::to_vec(&work()).unwrap_or_default()).await;
    let json = json
        .map_err(|_| Problem::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "shutting down"))?;
    let mut response = Response::new(Body::from(json));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response.headers_mut().insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("private, no-cache"),
    );
    Ok(response)
}
