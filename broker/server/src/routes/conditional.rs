//! `Last-Modified` and `If-Modified-Since`, compared as text (protocol A.5).

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use bytes::Bytes;
use package_broker_core::services::catalog::Dated;

use super::{encoding::Coding, error::JSON};

/// Clients keep what they fetched and ask again each time; nothing in between may keep it, as it depends on the token.
const CACHE_CONTROL: HeaderValue = HeaderValue::from_static("private, no-cache");
const VARY: HeaderValue = HeaderValue::from_static("Accept-Encoding, Authorization");

/// Answers a conditional request for a JSON document: 304 if the client has this very one.
pub(crate) fn document(
    request: &HeaderMap,
    dated: &Dated,
    coding: Coding,
    bytes: Bytes,
) -> Response {
    let unchanged = request
        .get(header::IF_MODIFIED_SINCE)
        .is_some_and(|since| since.as_bytes() == &dated.date[..]);
    let mut response = if unchanged {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        Response::new(Body::from(bytes))
    };
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_maybe_shared(dated.date.clone()) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::VARY, VARY);
    if !unchanged {
        headers.insert(header::CONTENT_TYPE, JSON);
        if let Some(token) = coding.token() {
            headers.insert(header::CONTENT_ENCODING, token);
        }
    }
    response
}
