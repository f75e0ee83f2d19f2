//! One document of a repository: fetched only if it changed, parsed off the async threads if it is large.

use bytes::Bytes;
use package_broker_core::ports::source::SourceError;
use serde::{Deserialize, Serialize};
use sha1::{Digest as _, Sha1};
use sha2::Sha256;
use url::Url;

use crate::source::{
    egress::shown,
    http::{Document, Fetcher, Validator},
};

/// Larger documents are worked on by a thread of their own; smaller ones cost less than the change of threads.
const WORK_INLINE: usize = 256 << 10;

/// What a document is recognised by: what the server said, else its content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    #[serde(flatten)]
    validator: Validator,
    #[serde(rename = "d", default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
}

/// The outcome of asking for a document.
pub(super) enum Fetched {
    /// As it was.
    Same,
    /// The server has none.
    Missing,
    /// Its bytes.
    Body(Bytes, Seen),
}

/// Asks for a document, conditionally if it was seen before.
pub(super) async fn fetch(
    fetcher: &Fetcher,
    url: &Url,
    seen: Option<&Seen>,
) -> Result<Fetched, SourceError> {
    match fetcher
        .get_document(url, seen.map(|seen| &seen.validator))
        .await?
    {
        Document::NotModified => Ok(Fetched::Same),
        Document::Missing => Ok(Fetched::Missing),
        Document::Body { bytes, validator } => {
            let digest = if validator.is_empty() {
                let body = bytes.clone();
                Some(off_thread(url, bytes.len(), move || digest(&body)).await?)
            } else {
                None
            };
            if digest.is_some() && seen.is_some_and(|seen| seen.digest == digest) {
                return Ok(Fetched::Same);
            }
            Ok(Fetched::Body(bytes, Seen { validator, digest }))
        }
    }
}

/// Parses a document; what is not JSON of the expected shape is [`SourceError::Invalid`] with the place.
pub(super) async fn parse<T: Send + 'static>(
    url: &Url,
    bytes: Bytes,
    parser: impl FnOnce(&[u8]) -> serde_json::Result<T> + Send + 'static,
) -> Result<T, SourceError> {
    let body = bytes.clone();
    let parsed = off_thread(url, bytes.len(), move || parser(&body)).await?;
    parsed.map_err(|error| not_json(url, &bytes, &error))
}

/// Works on so many bytes; on a thread of its own if they are many.
pub(super) async fn off_thread<T: Send + 'static>(
    url: &Url,
    size: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    if size <= WORK_INLINE {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| SourceError::Unavailable {
        what: shown(url),
        problem: "the program is ending".to_owned(),
        retry_after: None,
    })
}

fn not_json(url: &Url, bytes: &[u8], error: &serde_json::Error) -> SourceError {
    let problem = match bytes.trim_ascii_start().first() {
        None => "it is empty, where JSON was expected".to_owned(),
        Some(b'<') => {
            "it is an HTML page, where JSON was expected; check the URL and the credentials"
                .to_owned()
        }
        Some(_) => {
            let error: String = error.to_string().chars().take(300).collect();
            format!("it is not the JSON that was expected: {error}")
        }
    };
    SourceError::Invalid {
        what: shown(url),
        problem,
    }
}

/// Checks bytes against the SHA-1 or SHA-256 that another document promised; an empty one promises nothing.
pub(super) async fn verify(url: &Url, bytes: &Bytes, promised: &str) -> Result<(), SourceError> {
    let (kind, hash): (_, fn(&[u8]) -> String) = match promised.len() {
        0 => return Ok(()),
        40 => ("SHA-1", |bytes| hex::encode(Sha1::digest(bytes))),
        _ => ("SHA-256", |bytes| hex::encode(Sha256::digest(bytes))),
    };
    let body = bytes.clone();
    let found = off_thread(url, bytes.len(), move || hash(&body)).await?;
    if found.eq_ignore_ascii_case(promised) {
        return Ok(());
    }
    let promised: String = promised.chars().take(64).collect();
    Err(SourceError::Invalid {
        what: shown(url),
        problem: format!("its {kind} is {found}, but the repository's index promises {promised}"),
    })
}

/// A short name for some bytes: half of their SHA-256.
pub(super) fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    hex::encode(hash.get(..16).unwrap_or_default())
}
