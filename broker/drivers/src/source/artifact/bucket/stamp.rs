//! Knowing an object again.

use http::{
    HeaderMap,
    header::{CONTENT_LENGTH, ETAG, LAST_MODIFIED},
};
use jiff::{Timestamp, fmt::rfc2822};
use rusty_s3::actions::list_objects_v2::ListObjectsContent;
use serde::{Deserialize, Serialize};

/// How far the times in a listing and in a header may lie apart: headers know seconds only.
const ROUNDING_SECONDS: i64 = 1;

/// What a listing says of an object. It moves whenever the content does: `ETag` by the content itself, on servers
/// that list it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::artifact) struct ObjectStamp {
    size: u64,
    /// Without quotes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// As the server writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<String>,
}

impl ObjectStamp {
    pub(super) fn of(listed: &ListObjectsContent) -> Self {
        Self {
            size: listed.size.unwrap_or_default(),
            etag: listed.etag.as_deref().map(bare),
            written: listed.last_modified.clone(),
        }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The condition under which a request is about this object and no later one.
    pub(super) fn if_match(&self) -> Option<String> {
        Some(format!("\"{}\"", self.etag.as_deref()?))
    }

    /// Whether an answer is this object, as far as its headers tell. Not every server honours conditions.
    pub(super) fn fits(&self, headers: &HeaderMap) -> bool {
        let header = |name| headers.get(name)?.to_str().ok();
        let size = header(CONTENT_LENGTH).and_then(|text| text.parse().ok());
        if size.is_some_and(|size: u64| size != self.size) {
            return false;
        }
        match (&self.etag, header(ETAG)) {
            (Some(ours), Some(theirs)) => *ours == bare(theirs),
            _ => self.fits_time(header(LAST_MODIFIED)),
        }
    }

    fn fits_time(&self, header: Option<&str>) -> bool {
        let ours = self.written.as_deref().and_then(|text| text.parse().ok());
        let theirs = header.and_then(|text| {
            rfc2822::DateTimeParser::new()
                .relaxed_weekday(true)
                .parse_timestamp(text)
                .ok()
        });
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return true;
        };
        let apart = |a: Timestamp, b: Timestamp| a.as_second().saturating_sub(b.as_second()).abs();
        apart(ours, theirs) <= ROUNDING_SECONDS
    }
}

/// An `ETag` without the marks around it, which not every server writes.
fn bare(etag: &str) -> String {
    etag.trim()
        .trim_start_matches("W/")
        .trim_matches('"')
        .to_owned()
}
