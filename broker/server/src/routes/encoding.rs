//! Which compression a client reads (RFC 9110, 12.5.3).

use axum::http::{HeaderMap, HeaderValue, header};
use bytes::Bytes;
use package_broker_core::{
    ports::database::Encoding,
    services::{compress, package::CannotTell},
};

/// How a document goes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// As it is stored.
    Stored(Encoding),
    /// Unpacked for a client that reads no compression.
    Identity,
}

impl Coding {
    /// The best coding that a request allows: zstd, else gzip, else none.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = Self::Identity;
        for value in headers.get_all(header::ACCEPT_ENCODING) {
            for offer in value.to_str().unwrap_or_default().split(',') {
                match accepted_token(offer) {
                    Some("zstd") => return Self::Stored(Encoding::Zstd),
                    Some("gzip" | "x-gzip" | "*") => best = Self::Stored(Encoding::Gzip),
                    _ => {}
                }
            }
        }
        best
    }

    /// The encoding to read from storage.
    pub(crate) fn stored(self) -> Encoding {
        match self {
            Self::Stored(encoding) => encoding,
            Self::Identity => Encoding::Gzip,
        }
    }

    /// The value of `Content-Encoding`.
    pub(crate) fn token(self) -> Option<HeaderValue> {
        match self {
            Self::Stored(encoding) => Some(HeaderValue::from_static(encoding.as_str())),
            Self::Identity => None,
        }
    }

    /// The bytes to send, from those that are stored. Unpacking is rare and done off the runtime.
    pub(crate) async fn unpack(self, stored: Bytes) -> Result<Bytes, CannotTell> {
        if self != Self::Identity {
            return Ok(stored);
        }
        let unpacked =
            tokio::task::spawn_blocking(move || compress::decompress(&stored, Encoding::Gzip))
                .await;
        unpacked
            .ok()
            .and_then(Result::ok)
            .ok_or_else(|| CannotTell {
                message:
                    "a stored document is damaged; ask whoever runs this registry to sync again"
                        .to_owned(),
                retry_after: std::time::Duration::from_mins(1),
            })
    }
}

/// The coding an element of the list names, unless it is refused by `q=0`.
fn accepted_token(offer: &str) -> Option<&str> {
    let (token, parameters) = offer.split_once(';').unwrap_or((offer, ""));
    let quality = parameters
        .trim()
        .strip_prefix("q=")
        .and_then(|q| q.trim().parse::<f32>().ok());
    (quality != Some(0.0)).then_some(token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_coding_is_chosen() {
        for (header, expected) in [
            ("deflate, gzip, br, zstd", Coding::Stored(Encoding::Zstd)),
            ("gzip", Coding::Stored(Encoding::Gzip)),
            ("gzip;q=0", Coding::Identity),
            ("zstd;q=0, gzip;q=0.5", Coding::Stored(Encoding::Gzip)),
            ("*", Coding::Stored(Encoding::Gzip)),
            ("br", Coding::Identity),
            ("", Coding::Identity),
        ] {
            let headers =
                HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(header))]);
            assert_eq!(Coding::accepted(&headers), expected, "{header}");
        }
    }
}
