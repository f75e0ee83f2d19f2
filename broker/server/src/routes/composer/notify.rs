//! `POST /notify-batch`: which packages a client has installed (protocol A.10).

use axum::{
    body::{Body, Bytes},
    http::header,
    response::Response,
};
use http_body_util::{BodyExt, Collected};
use hyper::body::Incoming;
use package_broker_core::services::token::Grant;
use serde::Deserialize;

use super::super::{
    App,
    error::{JSON, Problem, beginning},
    request::Bound,
};

/// Packages of one notification; a large project has some hundreds.
const MAX_DOWNLOADS: usize = 10_000;

const BODY: Bound = Bound {
    most: 2 << 20,
    what: "a notification",
};

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
    app: &App,
    grant: &Grant,
    body: Incoming,
) -> Result<Response, Problem> {
    let batch: Batch = serde_json::from_slice(&read(body).await?).map_err(|error| {
        let error = beginning(&error.to_string());
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
    app.metrics.installs.add(counted as u64);
    let mut response = Response::new(Body::from(r#"{"status":"success"}"#));
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    Ok(response)
}

async fn read(body: Incoming) -> Result<Bytes, Problem> {
    let collected = BODY.of(body)?.collect().await;
    collected
        .map(Collected::to_bytes)
        .map_err(|error| BODY.failed(error.as_ref()))
}
