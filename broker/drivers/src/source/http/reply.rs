//! An answer whose body is read in bounded steps.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode};
use package_broker_core::ports::source::SourceError;
use url::Url;

use super::{
    failure::{Failure, unavailable},
    hosts::Permit,
};

/// A connection is worth reading so many unwanted bytes; beyond, a new one is cheaper.
const WORTH_READING: u64 = 64 << 10;

/// An answer. Its host counts as being asked until this is dropped.
pub struct Reply {
    response: reqwest::Response,
    url: Url,
    received: u64,
    declared: Option<u64>,
    permit: Permit,
}

impl Reply {
    pub(super) fn new(response: reqwest::Response, url: Url, permit: Permit) -> Self {
        let declared = response.content_length();
        Self {
            response,
            url,
            received: 0,
            declared,
            permit,
        }
    }

    /// The status; never one of 401, 403, 429, 5xx, which are errors.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// A header as text.
    pub fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Where the answer came from, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// How long the body is to be, in bytes, if the server said so.
    pub fn declared(&self) -> Option<u64> {
        self.declared
    }

    /// The next bytes of the body as they came over the wire, undecoded; `None` at its end.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if the connection breaks, goes silent, or ends before the declared length.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, SourceError> {
        match self.response.chunk().await {
            Ok(Some(chunk)) => {
                self.received += chunk.len() as u64;
                Ok(Some(chunk))
            }
            Ok(None) => match self.declared {
                Some(declared) if self.received < declared => Err(self.truncated(declared)),
                _ => Ok(None),
            },
            Err(error) => Err(match self.declared {
                Some(declared) if !error.is_timeout() && self.received < declared => {
                    self.truncated(declared)
                }
                _ => Failure::from_reqwest(&self.url, &error).error,
            }),
        }
    }

    /// Holds back every new request to this host for a while.
    pub(super) fn hold_back(&self, pause: Duration) {
        self.permit.hold_back(pause);
    }

    /// Reads what little is left of a body that nobody wants, so that the connection can be used again.
    pub(in crate::source) async fn discard(mut self) {
        while self.received <= WORTH_READING {
            match self.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }

    fn truncated(&self, declared: u64) -> SourceError {
        let problem = format!(
            "the connection ended after {} of {declared} bytes",
            self.received
        );
        unavailable(&self.url, problem, None)
    }
}
