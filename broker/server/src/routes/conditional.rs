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

/// The `Last-Modified` of what the client has, byte for byte.
pub(crate) fn since(request: &HeaderMap) -> Option<&[u8]> {
    Some(request.get(header::IF_MODIFIED_SINCE)?.as_bytes())
}

/// 304: the client has it.
pub(crate) fn not_modified(dated: &Dated) -> Response {
    let mut response = dated_response(dated, Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

/// 200 with a JSON document.
pub(crate) fn document(dated: &Dated, coding: Coding, bytes: Bytes) -> Response {
    let mut response = dated_response(dated, Body::from(bytes));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    if let Some(token) = coding.token() {
        headers.insert(header::CONTENT_ENCODING, token);
    }
    response
}

fn dated_response(dated: &Dated, body: Body) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    if let Ok(date) = HeaderValue::from_bytes(&dated.date) {
        headers.insert(header::LAST_MODIFIED, date);
    }
    headers.insert(header::CACHE_CONTROL, CACHE_CONTROL);
    headers.insert(header::VARY, VARY);
    response
}
