//! `POST /notify-batch`: which packages a client has installed (protocol A.10).

use std::sync::Arc;

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::header,
    response::Response,
};
use serde::Deserialize;

use super::super::{
    App,
    auth::Authenticated,
    error::{JSON, Problem},
};

/// Packages of one notification; a large project has some hundreds.
const MAX_DOWNLOADS: usize = 10_000;

#[derive(Deserialize)]
struct Batch {
    downloads: Vec<Download>,
}

#[derive(Deserialize)]
struct Download {
    name: String,
    #[serde(rename = "version")]
    _version: String,
}

/// Counts the installed packages that the asker may read. Counted apart from archives: a client notifies also when a
/// file came from its own cache.
pub(in super::super) async fn notify_batch(
    State(app): State<Arc<App>>,
    Authenticated(grant): Authenticated,
    body: Bytes,
) -> Result<Response, Problem> {
    let batch: Batch = serde_json::from_slice(&body).map_err(|error| {
        Problem::bad_request(format!(
            "the notification is not {{\"downloads\":[{{\"name\",\"version\"}}]}}: {error}"
        ))
    })?;
    if batch.downloads.len() > MAX_DOWNLOADS {
        return Err(Problem::bad_request(format!(
            "a notification names at most {MAX_DOWNLOADS} packages"
        )));
    }
    let readable = |download: &&Download| {
        let entry = app.broker.catalog.find(&download.name.to_ascii_lowercase());
        entry.is_some_and(|entry| {
            grant
                .scope
                .covers(entry.published.package.as_str(), &entry.published.owner)
        })
    };
    let counted = batch.downloads.iter().filter(readable).count();
    app.metrics.installs.inc_by(counted as u64);
    let mut response = Response::new(Body::from(r#"{"status":"success"}"#));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}
