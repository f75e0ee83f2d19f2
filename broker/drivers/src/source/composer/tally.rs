//! How much one survey has read, and how much it may.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use package_broker_core::{domain::names::RepositoryName, ports::source::SourceError};
use url::Url;

use crate::source::{SourceLimits, egress::shown};

/// The contents of inline packages stay in memory until they are read, so a survey may not be much larger than its
/// largest document.
const DOCUMENTS: u64 = 4;

/// The most bytes of a survey, unless one document may have more.
const MOST: u64 = 512 << 20;

/// Counts the root file and its includes as they come.
pub(super) struct Tally {
    limit: u64,
    bytes: AtomicU64,
    files_done: AtomicUsize,
    files_total: AtomicUsize,
}

impl Tally {
    /// A count that ends at four times `maxMetadataSize` or at 512 MiB, whichever is less, but not below one document.
    pub(super) fn new(limits: &SourceLimits) -> Self {
        let document = limits.max_metadata_size;
        Self {
            limit: document.saturating_mul(DOCUMENTS).min(MOST).max(document),
            bytes: AtomicU64::new(0),
            files_done: AtomicUsize::new(0),
            files_total: AtomicUsize::new(0),
        }
    }

    /// So many files are to be loaded.
    pub(super) fn expect(&self, files: usize) {
        self.files_total.fetch_add(files, Ordering::Relaxed);
    }

    /// One of them was, or needed not to be.
    pub(super) fn done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts the bytes of a document of the repository whose root file is at `root`.
    ///
    /// # Errors
    /// [`SourceError::Invalid`] past the limit.
    pub(super) fn take(&self, root: &Url, bytes: usize) -> Result<(), SourceError> {
        let before = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        if before.saturating_add(bytes as u64) <= self.limit {
            return Ok(());
        }
        Err(SourceError::Invalid {
            what: shown(root),
            problem: format!(
                "the root file and what it includes have more than {} bytes together, the most that is read at once \
                 (four times PackageBroker spec.limits.maxMetadataSize, within 512Mi)",
                self.limit
            ),
        })
    }

    /// Says where the survey is.
    pub(super) fn log(&self, repository: &RepositoryName) {
        tracing::info!(
            repository = repository.as_str(),
            files_done = self.files_done.load(Ordering::Relaxed),
            files_total = self.files_total.load(Ordering::Relaxed),
            received_bytes = self.bytes.load(Ordering::Relaxed),
            "reading the index of a Composer repository"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_that_of_a_document() {
        for (document, limit) in [
            (1 << 10, 4 << 10),
            (128 << 20, 512 << 20),
            (200 << 20, 512 << 20),
            (1 << 30, 1 << 30),
        ] {
            let limits = SourceLimits {
                max_metadata_size: document,
                ..SourceLimits::default()
            };
            assert_eq!(Tally::new(&limits).limit, limit);
        }
    }
}
