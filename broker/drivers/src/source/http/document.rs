//! Metadata documents: small, asked conditionally, read whole within a bound.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use http::{
    HeaderMap, HeaderValue, Method, StatusCode,
    header::{
        ACCEPT_ENCODING, CONTENT_ENCODING, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    },
};
use package_broker_core::ports::source::SourceError;
use serde::{Deserialize, Serialize};
use url::Url;

use super::{
    Fetcher, Reply,
    failure::{Again, Failure, invalid},
    hosts::Lane,
    send::{Outgoing, Tries},
};

/// What a server said to recognise a document by, byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// `Last-Modified`.
    #[serde(rename = "m", default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
    /// `ETag`.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl Validator {
    /// Whether a conditional request can be made with it.
    pub fn is_empty(&self) -> bool {
        self.last_modified.is_none() && self.etag.is_none()
    }

    fn of(reply: &Reply) -> Self {
        let header = |name| reply.header(name).map(str::to_owned);
        Self {
            last_modified: header(LAST_MODIFIED),
            etag: header(ETAG),
        }
    }
}

/// The answer to a request for a document.
#[derive(Debug)]
pub enum Document {
    /// 304: as it was when the validator was given.
    NotModified,
    /// 404 or 410.
    Missing,
    /// 200.
    Body {
        /// The whole body, decoded.
        bytes: Bytes,
        /// For the next request; empty if the server gave none.
        validator: Validator,
    },
}

impl Fetcher {
    /// Gets a document, if it is not what `known` stands for. A broken connection is tried again.
    ///
    /// # Errors
    /// Those of [`Fetcher::send`]; [`SourceError::Invalid`] for other statuses and for a body beyond
    /// [`SourceLimits::max_metadata_size`](crate::source::SourceLimits) or in an encoding we did not ask for.
    pub async fn get_document(
        &self,
        url: &Url,
        known: Option<&Validator>,
    ) -> Result<Document, SourceError> {
        let known = known.filter(|validator| !validator.is_empty());
        let headers = conditions(known);
        let mut tries = Tries::default();
        loop {
            match self.try_document(url, &headers, known.is_some()).await {
                Ok(document) => return Ok(document),
                Err(failure) => tries.pause(failure).await?,
            }
        }
    }

    async fn try_document(
        &self,
        url: &Url,
        headers: &HeaderMap,
        conditional: bool,
    ) -> Result<Document, Failure> {
        let outgoing = Outgoing {
            method: Method::GET,
            url,
            headers,
            body: None,
            lane: Lane::Requests,
        };
        let reply = self.attempt(outgoing).await?;
        self.read_document(reply, conditional).await
    }

    async fn read_document(
        &self,
        mut reply: Reply,
        conditional: bool,
    ) -> Result<Document, Failure> {
        match reply.status() {
            StatusCode::OK => {}
            StatusCode::NOT_MODIFIED if conditional => return Ok(Document::NotModified),
            StatusCode::NOT_FOUND | StatusCode::GONE => {
                reply.discard().await;
                return Ok(Document::Missing);
            }
            status => {
                let problem = format!("HTTP {} where a document was expected", status.as_u16());
                return Err(Failure::lasting(invalid(reply.url(), problem)));
            }
        }
        let validator = Validator::of(&reply);
        let mut body = Decoding::of(&reply, self.network.limits.max_metadata_size)?;
        while let Some(chunk) = reply.chunk().await.map_err(passing)? {
            body.write(&chunk).map_err(|_| body.explain(&reply))?;
        }
        let bytes = body.finish().map_err(|_| damaged(&reply))?;
        Ok(Document::Body {
            bytes: bytes.into(),
            validator,
        })
    }
}

fn passing(error: SourceError) -> Failure {
    let again = if matches!(error, SourceError::Unavailable { .. }) {
        Again::Backoff
    } else {
        Again::No
    };
    Failure { error, again }
}

fn conditions(known: Option<&Validator>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    let Some(known) = known else { return headers };
    let pairs = [
        (IF_MODIFIED_SINCE, &known.last_modified),
        (IF_NONE_MATCH, &known.etag),
    ];
    for (name, text) in pairs {
        if let Some(value) = text
            .as_deref()
            .and_then(|text| HeaderValue::from_str(text).ok())
        {
            headers.insert(name, value);
        }
    }
    headers
}

fn damaged(reply: &Reply) -> Failure {
    Failure::lasting(invalid(reply.url(), "its gzip encoding is damaged"))
}

/// A body being decoded into a bounded buffer.
enum Decoding {
    Plain(Bounded),
    Gzip(Box<MultiGzDecoder<Bounded>>),
}

struct Bounded {
    bytes: Vec<u8>,
    limit: u64,
    full: bool,
}

impl Decoding {
    fn of(reply: &Reply, limit: u64) -> Result<Self, Failure> {
        let buffer = Bounded {
            bytes: Vec::new(),
            limit,
            full: false,
        };
        if reply.declared().is_some_and(|declared| declared > limit) {
            return Err(too_large(reply, limit));
        }
        match reply.header(CONTENT_ENCODING).map(str::trim) {
            None | Some("" | "identity") => Ok(Self::Plain(buffer)),
            Some(name)
                if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") =>
            {
                Ok(Self::Gzip(Box::new(MultiGzDecoder::new(buffer))))
            }
            Some(name) => {
                let problem =
                    format!("its Content-Encoding is {name:?}, but only gzip was asked for");
                Err(Failure::lasting(invalid(reply.url(), problem)))
            }
        }
    }

    fn write(&mut self, chunk: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(buffer) => buffer.write_all(chunk),
            Self::Gzip(decoder) => decoder.write_all(chunk),
        }
    }

    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(buffer) => Ok(buffer.bytes),
            Self::Gzip(decoder) => Ok(decoder.finish()?.bytes),
        }
    }

    /// Tells a full buffer from damaged data.
    fn explain(&self, reply: &Reply) -> Failure {
        let buffer = match self {
            Self::Plain(buffer) => buffer,
            Self::Gzip(decoder) => decoder.get_ref(),
        };
        if buffer.full {
            too_large(reply, buffer.limit)
        } else {
            damaged(reply)
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, chunk: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + chunk.len()) as u64 > self.limit {
            self.full = true;
            return Err(io::Error::other("the buffer is full"));
        }
        self.bytes.extend_from_slice(chunk);
        Ok(chunk.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn too_large(reply: &Reply, limit: u64) -> Failure {
    let problem = format!(
        "it is larger than the limit of {limit} bytes (PackageBroker spec.limits.maxMetadataSize)"
    );
    Failure::lasting(invalid(reply.url(), problem))
}
