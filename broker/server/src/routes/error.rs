//! Errors as clients can show them: JSON with a `warning`, content type exactly `application/json` (protocol A.4).

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use package_broker_core::{
    domain::names::NameError,
    services::{dist::DistError, package::CannotTell, token::Refusal},
};
use serde::Serialize;

use super::limit::whole_seconds;

/// The content type that clients before 2.11 insist on.
pub(crate) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// How much of a client's own text an answer repeats, in characters.
const MAX_REPEATED: usize = 100;

/// When a client may try again after there was nothing to answer from.
const RECOVERY: Duration = Duration::from_secs(5);

/// An answer other than success.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    warning: String,
    /// Which versions of Composer show the warning; all if there is none.
    shown_by: Option<&'static str>,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Warning<'a> {
    warning: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning_versions: Option<&'static str>,
}

impl Problem {
    /// A problem with a sentence for the user.
    pub(crate) fn new(status: StatusCode, warning: impl Into<String>) -> Self {
        Self {
            status,
            warning: warning.into(),
            shown_by: None,
            retry_after: None,
            allow: None,
        }
    }

    /// A request that cannot be understood.
    pub(crate) fn bad_request(warning: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, warning)
    }

    /// "Not in this repository": the client asks the next one. Always the same bytes, whatever the reason. Composer 2
    /// asks a mirror for every name of a project, virtual ones too, and is not to print a line for each.
    pub(crate) fn not_found() -> Self {
        Self {
            shown_by: Some("<1.99"),
            ..Self::new(StatusCode::NOT_FOUND, "there is no such package here")
        }
    }

    /// A path that is no route.
    pub(crate) fn no_such_route(path: &str) -> Self {
        let path = beginning(path);
        let warning = format!("there is nothing at {path}; the registry begins at packages.json");
        Self::new(StatusCode::NOT_FOUND, warning)
    }

    /// A name that no package can have, wherever the client asks for it.
    pub(crate) fn illegal_name(error: &NameError) -> Self {
        Self::new(StatusCode::NOT_FOUND, error.to_string())
    }

    /// A file that nothing here has the name of; `names` says what names there are.
    pub(crate) fn no_such_file(file: &str, names: &str) -> Self {
        let file = beginning(file);
        let warning = format!("there is no file \"{file}\" here: {names}");
        Self::new(StatusCode::NOT_FOUND, warning)
    }

    /// A part of the path whose bytes are no text.
    pub(crate) fn not_utf8(segment: &str) -> Self {
        let segment = beginning(segment);
        Self::bad_request(format!("\"{segment}\" in the path is not UTF-8"))
    }

    /// Somebody who has not said who they are, or not well.
    pub(crate) fn unauthorized(warning: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, warning)
    }

    /// A route asked with a method it does not have; `allow` lists those it has.
    pub(crate) fn wrong_method(method: &Method, allow: &'static str) -> Self {
        let method = beginning(method.as_str());
        let warning = format!("{method} is not possible here, only {allow}");
        Self {
            allow: Some(allow),
            ..Self::new(StatusCode::METHOD_NOT_ALLOWED, warning)
        }
    }

    /// There is nothing in memory to answer from, for this reason.
    pub(crate) fn cannot_serve(reason: &str) -> Self {
        let warning =
            format!("The registry cannot answer at the moment: {reason}. Please try again.");
        Self {
            retry_after: Some(RECOVERY),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, warning)
        }
    }

    /// A limit of requests was reached; `whose` says which.
    pub(crate) fn over_limit(whose: &str, per_hour: u32, retry_after: Duration) -> Self {
        let warning =
            format!("{whose} has made its {per_hour} requests of an hour; try again later");
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, warning)
        }
    }

    /// Too many attempts.
    pub(crate) fn too_many(retry_after: Duration) -> Self {
        let warning = "too many requests with invalid tokens came from this address; mend auth.json and try again";
        Self {
            retry_after: Some(retry_after),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, warning)
        }
    }
}

/// As much of a client's own text as an answer repeats.
pub(crate) fn beginning(text: &str) -> String {
    text.chars().take(MAX_REPEATED).collect()
}

impl From<CannotTell> for Problem {
    fn from(problem: CannotTell) -> Self {
        Self {
            retry_after: Some(problem.retry_after),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, problem.message)
        }
    }
}

impl From<DistError> for Problem {
    fn from(error: DistError) -> Self {
        match error {
            DistError::Missing => Self::new(StatusCode::NOT_FOUND, error.to_string()),
            DistError::Gone(warning) => Self::new(StatusCode::GONE, warning),
            // A 4xx that clients do not try again: the upstream has to be mended first (protocol A.9).
            DistError::Defective { .. } => {
                Self::new(StatusCode::FAILED_DEPENDENCY, error.to_string())
            }
            DistError::Unavailable(problem) => problem.into(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, refusal.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&Warning {
            warning: &self.warning,
            warning_versions: self.shown_by,
        })
        .unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, JSON);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            let challenge =
                HeaderValue::from_static("Basic realm=\"Package Broker\", charset=\"UTF-8\"");
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }
        if let Some(allow) = self.allow {
            headers.insert(header::ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(retry_after) = self.retry_after {
            headers.insert(
                header::RETRY_AFTER,
                HeaderValue::from(whole_seconds(retry_after).max(1)),
            );
        }
        response
    }
}
