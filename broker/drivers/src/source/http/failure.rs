//! What can go wrong on the way, and whether it is worth another try.

use std::{error::Error, io, time::Duration};

use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use jiff::{Timestamp, fmt::rfc2822};
use package_broker_core::ports::source::SourceError;
use url::Url;

use crate::source::egress::shown;

/// A pause that a server asks for is waited out up to here; beyond, the caller comes back another time.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A server that asks for more than this is asked again all the same: a slip of its clock must not end all syncs.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// An error and whether the same request may succeed soon.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the caller is told.
    pub(super) error: SourceError,
    /// What to do about it.
    pub(super) again: Again,
}

/// Whether and when to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It would be the same.
    No,
    /// After our own pause.
    Backoff,
    /// After the pause the server asked for.
    After(Duration),
}

impl Failure {
    /// An answer that will not change.
    pub(super) fn lasting(error: SourceError) -> Self {
        Self {
            error,
            again: Again::No,
        }
    }

    /// A fault that may be gone in a moment.
    pub(super) fn passing(url: &Url, problem: impl Into<String>) -> Self {
        Self {
            error: unavailable(url, problem, None),
            again: Again::Backoff,
        }
    }

    /// From a request or body that broke.
    pub(super) fn from_reqwest(url: &Url, error: &reqwest::Error) -> Self {
        if let Some(reason) = refused_address(error) {
            return Self::lasting(SourceError::Forbidden {
                url: shown(url),
                reason,
            });
        }
        if let Some(problem) = certificate_problem(error) {
            let problem = format!(
                "its TLS certificate was not accepted ({problem}); its CA can go into ca.crt of the Secret"
            );
            return Self::lasting(invalid(url, problem));
        }
        if error.is_builder() {
            return Self::lasting(invalid(url, "the request could not be made"));
        }
        let problem = match (error.is_timeout(), error.is_connect()) {
            (true, true) => "the connection took too long".to_owned(),
            (true, false) => "the server was silent for too long".to_owned(),
            (false, true) => format!("no connection: {}", root_cause(error)),
            (false, false) => format!("the connection broke: {}", root_cause(error)),
        };
        Self::passing(url, problem)
    }

    /// From a status that no request of ours can use; `None` for the others.
    pub(super) fn from_status(url: &Url, status: StatusCode, headers: &HeaderMap) -> Option<Self> {
        let code = status.as_u16();
        match code {
            401 | 403 | 407 => Some(Self::lasting(SourceError::Denied {
                what: shown(url),
                problem: format!("HTTP {code}"),
            })),
            // 429 without a date gets no second try: we were too fast already.
            429 => Some(Self::from_pause(url, code, retry_after(headers), Again::No)),
            408 | 423 | 425 | 500..=599 => Some(Self::from_pause(
                url,
                code,
                retry_after(headers),
                Again::Backoff,
            )),
            _ => None,
        }
    }

    fn from_pause(url: &Url, code: u16, pause: Option<Duration>, otherwise: Again) -> Self {
        let again = match pause {
            Some(pause) if pause <= LONGEST_WAIT => Again::After(pause),
            Some(_) => Again::No,
            None => otherwise,
        };
        Self {
            error: unavailable(url, format!("HTTP {code}"), pause),
            again,
        }
    }
}

/// An error that names a URL and may pass.
pub(super) fn unavailable(
    url: &Url,
    problem: impl Into<String>,
    retry_after: Option<Duration>,
) -> SourceError {
    SourceError::Unavailable {
        what: shown(url),
        problem: problem.into(),
        retry_after,
    }
}

/// An error that names a URL and stays.
pub(super) fn invalid(url: &Url, problem: impl Into<String>) -> SourceError {
    SourceError::Invalid {
        what: shown(url),
        problem: problem.into(),
    }
}

/// `Retry-After` in seconds or as an HTTP date, at most [`LONGEST_PAUSE`]; nothing if it is neither.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // Fails only for numbers that are too large.
        text.parse().unwrap_or(u64::MAX)
    } else {
        seconds_until(text)?
    };
    Some(Duration::from_secs(seconds).min(LONGEST_PAUSE))
}

/// The seconds to an HTTP date; none to one that has passed.
fn seconds_until(text: &str) -> Option<u64> {
    let date = rfc2822::DateTimeParser::new()
        .relaxed_weekday(true)
        .parse_timestamp(text)
        .ok()?;
    let seconds = date
        .as_second()
        .saturating_sub(Timestamp::now().as_second());
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// The innermost message. The outer ones only repeat the URL, with what may be secret in it.
pub(super) fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<reqwest::Error>() {
        "no details".to_owned()
    } else {
        cause.to_string()
    }
}

fn causes<'a>(error: &'a reqwest::Error) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(error.source(), |&cause: &&'a (dyn Error + 'static)| {
        cause.source()
    })
}

/// What our resolver refused, if that is the cause.
fn refused_address(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| match cause.downcast_ref::<SourceError>() {
        Some(SourceError::Forbidden { reason, .. }) => Some(reason.clone()),
        _ => None,
    })
}

/// What TLS holds against the server's certificate, if that is the cause.
fn certificate_problem(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(
        |cause| match unwrapped(cause).downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(problem)) => Some(problem.to_string()),
            _ => None,
        },
    )
}

/// An I/O error hides the error it wraps from `source`.
fn unwrapped<'a>(mut cause: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    while let Some(inner) = cause
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
    {
        cause = inner;
    }
    cause
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date_within_an_hour() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            retry_after(&headers)
        };
        assert_eq!(read("3"), Some(Duration::from_secs(3)));
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        let soon = Timestamp::now() + Duration::from_mins(10);
        let soon = read(
            &rfc2822::DateTimePrinter::new()
                .timestamp_to_rfc9110_string(&soon)
                .unwrap(),
        );
        assert!(
            soon.is_some_and(|pause| pause > Duration::from_mins(9)),
            "{soon:?}"
        );
        for long in [
            "3601",
            "18446744073709551615",
            "99999999999999999999999",
            "Fri, 01 Jan 2100 00:00:00 GMT",
        ] {
            assert_eq!(read(long), Some(LONGEST_PAUSE), "{long}");
        }
        assert_eq!(read("soon"), None);
        assert_eq!(read("-1"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn statuses_have_a_meaning() {
        let url: Url = "https://h.example/x?token=hush".parse().unwrap();
        for (code, expected) in [
            (200, None),
            (304, None),
            (404, None),
            (401, Some(Again::No)),
            (403, Some(Again::No)),
            (429, Some(Again::No)),
            (500, Some(Again::Backoff)),
            (503, Some(Again::Backoff)),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            let failure = Failure::from_status(&url, status, &HeaderMap::new());
            assert_eq!(
                failure.as_ref().map(|failure| failure.again),
                expected,
                "{code}"
            );
            if let Some(failure) = failure {
                assert!(!failure.error.to_string().contains("hush"));
            }
        }
    }
}
