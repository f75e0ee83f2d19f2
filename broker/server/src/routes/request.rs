//! What requests carry: queries, and bodies of a bounded size.

use axum::{
    extract::Query,
    http::{StatusCode, Uri},
};
use http_body_util::{LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use serde::de::DeserializeOwned;

use super::error::Problem;

/// The query of a URL.
///
/// # Errors
/// 400 if it is none of that kind.
pub(super) fn query_of<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    Query::try_from_uri(uri)
        .map(|Query(query)| query)
        .map_err(|error| Problem::bad_request(format!("the query cannot be read: {error}")))
}

/// How large the body of a request may be.
pub(super) struct Bound {
    /// In bytes.
    pub(super) most: usize,
    /// What it is, as a sentence begins.
    pub(super) what: &'static str,
}

impl Bound {
    /// The body, which ends with an error where it becomes too large.
    ///
    /// # Errors
    /// 413 if it says itself that it is too large: it is not waited for.
    pub(super) fn of(&self, body: Incoming) -> Result<Limited<Incoming>, Problem> {
        if body.size_hint().lower() > self.most as u64 {
            return Err(self.too_large());
        }
        Ok(Limited::new(body, self.most))
    }

    /// Why a body could not be read to its end.
    pub(super) fn failed(&self, error: &(dyn std::error::Error + 'static)) -> Problem {
        if error.is::<LengthLimitError>() {
            self.too_large()
        } else {
            Problem::bad_request("the body ended early")
        }
    }

    fn too_large(&self) -> Problem {
        let Self { most, what } = self;
        let warning = format!("{what} is at most {most} bytes long");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, warning)
    }
}
