//! `GET /list.json` and `GET /search.json`.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use package_broker_core::services::{token::Grant, view::Kind};
use serde::{Deserialize, Serialize};

use super::{
    super::{
        App,
        error::{JSON, Problem},
        request::query_of,
    },
    view,
};

/// The longest value of a parameter, in bytes.
const MAX_PARAMETER: usize = 1_000;

/// The query of a list.
#[derive(Deserialize)]
struct ListQuery {
    vendor: Option<String>,
    filter: Option<String>,
}

/// The names the asker may see; all of them, as clients ask for them as a rule, are rendered once.
pub(in super::super) async fn list(
    app: &Arc<App>,
    grant: Arc<Grant>,
    headers: &HeaderMap,
    uri: &Uri,
) -> Result<Response, Problem> {
    if uri.query().is_none_or(str::is_empty) {
        return view(app, &grant, headers, Kind::List).await;
    }
    let query: ListQuery = query_of(uri)?;
    bounded("vendor", query.vendor.as_deref())?;
    bounded("filter", query.filter.as_deref())?;
    let app = Arc::clone(app);
    let work = move || {
        app.broker
            .search
            .list(&grant, query.vendor.as_deref(), query.filter.as_deref())
    };
    answer(work).await
}

/// The query of a search.
#[derive(Deserialize)]
struct SearchQuery {
    #[serde(default)]
    q: String,
    #[serde(rename = "type")]
    kind: Option<String>,
}

/// The packages that hold every word of the question.
pub(in super::super) async fn search(
    app: &Arc<App>,
    grant: Arc<Grant>,
    uri: &Uri,
) -> Result<Response, Problem> {
    let query: SearchQuery = query_of(uri)?;
    bounded("q", Some(&query.q))?;
    bounded("type", query.kind.as_deref())?;
    let app = Arc::clone(app);
    answer(move || {
        app.broker
            .search
            .search(&grant, &query.q, query.kind.as_deref())
    })
    .await
}

fn bounded(parameter: &str, text: Option<&str>) -> Result<(), Problem> {
    match text {
        Some(text) if text.len() > MAX_PARAMETER => Err(Problem::bad_request(format!(
            "\"{parameter}\" in the query is longer than {MAX_PARAMETER} bytes"
        ))),
        _ => Ok(()),
    }
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
