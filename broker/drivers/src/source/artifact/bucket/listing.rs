//! Lists the archives under the prefix, page by page, within bounds.

use package_broker_core::{domain::archive::ArchiveFormat, ports::source::SourceError};
use rusty_s3::{
    S3Action,
    actions::{
        ListObjectsV2,
        list_objects_v2::{ListObjectsContent, ListObjectsV2Response},
    },
};

use super::{Bucket, SIGNED_FOR, stamp::ObjectStamp};
use crate::source::{
    artifact::{
        place::{Candidate, Listed, MAX_ENTRIES, MAX_FILES, Stamp},
        refusal::Refusal,
    },
    http::Document,
};

/// The most pages of a listing. Servers give a thousand keys a page, and may give fewer.
const MAX_PAGES: usize = 5_000;

impl Bucket {
    /// Lists the archives under the prefix.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`] if there is no such bucket, [`SourceError::Denied`], [`SourceError::Invalid`] for
    /// what is no listing or beyond the bounds, and those of the fetcher. Never a part of a listing.
    pub(in crate::source::artifact) async fn list(&self) -> Result<Listed, SourceError> {
        self.memo.turn_over();
        let mut found = Found::default();
        let mut token: Option<String> = None;
        for _ in 0..MAX_PAGES {
            let page = self.page(token.as_deref()).await?;
            for object in &page.contents {
                found
                    .take(object, &self.address.prefix)
                    .map_err(|problem| self.invalid(problem))?;
            }
            match page.next_continuation_token {
                None => return Ok(found.listed),
                next if next == token => break,
                next => token = next,
            }
        }
        Err(self.invalid("its listing does not come to an end".to_owned()))
    }

    async fn page(&self, token: Option<&str>) -> Result<ListObjectsV2Response, SourceError> {
        let mut action = self.address.bucket.list_objects_v2(self.keys.as_ref());
        if !self.address.prefix.is_empty() {
            action.with_prefix(self.address.prefix.as_str());
        }
        if let Some(token) = token {
            action.with_continuation_token(token);
        }
        let url = action.sign(SIGNED_FOR);
        let answer = self.fetcher.get_document(&url, None).await;
        let bytes = match answer.map_err(|error| self.explain(error))? {
            Document::Body { bytes, .. } => bytes,
            Document::Missing => return Err(self.unavailable("there is no such bucket")),
            Document::NotModified => return Err(self.no_listing()),
        };
        let parsed = tokio::task::spawn_blocking(move || parse(&bytes));
        let parsed = parsed.await.ok().flatten();
        parsed.ok_or_else(|| self.no_listing())
    }

    fn explain(&self, error: SourceError) -> SourceError {
        match error {
            SourceError::Denied { problem, .. } => SourceError::Denied {
                what: self.shown().to_owned(),
                problem: format!("{problem}; a listing needs s3:ListBucket"),
            },
            // The wrong region gets a redirect to nowhere or a 400.
            SourceError::Invalid { what, problem } => SourceError::Invalid {
                what,
                problem: format!("{problem}; check spec.bucket.endpoint and spec.bucket.region"),
            },
            other => other,
        }
    }

    fn no_listing(&self) -> SourceError {
        self.invalid(
            "what the endpoint answers is no listing of S3; check spec.bucket.endpoint".to_owned(),
        )
    }

    fn invalid(&self, problem: String) -> SourceError {
        SourceError::Invalid {
            what: self.shown().to_owned(),
            problem,
        }
    }
}

fn parse(bytes: &[u8]) -> Option<ListObjectsV2Response> {
    let text = std::str::from_utf8(bytes).ok()?;
    // The parser takes the end of the text for the end of the document.
    if !text.trim_end().ends_with("ListBucketResult>") {
        return None;
    }
    ListObjectsV2::parse_response(text).ok()
}

#[derive(Default)]
struct Found {
    keys: usize,
    listed: Listed,
}

impl Found {
    fn take(&mut self, object: &ListObjectsContent, prefix: &str) -> Result<(), String> {
        self.keys += 1;
        if self.keys > MAX_ENTRIES {
            return Err(format!(
                "it holds more than {MAX_ENTRIES} objects; use a prefix for archives only"
            ));
        }
        let Some(path) = object.key.strip_prefix(prefix) else {
            return Ok(());
        };
        // Where consoles show folders, there may be an object whose key ends in a slash.
        if path.is_empty() || path.ends_with('/') || is_hidden(path) {
            return Ok(());
        }
        let Some(format) = ArchiveFormat::of_file(path) else {
            return Ok(());
        };
        if format == ArchiveFormat::TarXz {
            self.listed.refused.push((path.to_owned(), Refusal::Xz));
            return Ok(());
        }
        self.listed.files.push(Candidate {
            path: path.to_owned(),
            format,
            stamp: Stamp::Object(ObjectStamp::of(object)),
        });
        if self.listed.files.len() > MAX_FILES {
            return Err(format!(
                "it holds more than {MAX_FILES} archives; divide them between several prefixes and repositories"
            ));
        }
        Ok(())
    }
}

/// As in a folder: uploads in progress. `.` and `..` are among them, which no URL can name.
fn is_hidden(path: &str) -> bool {
    path.split('/').any(|part| part.starts_with('.'))
}
