//! Why a sync or a read on demand failed.

use std::time::Duration;

use thiserror::Error;

use crate::ports::{database::DatabaseError, source::SourceError};

/// A sync did not end well. What it had stored until then stands.
#[derive(Debug, Error)]
pub enum SyncError {
    /// The source did not answer, or not well.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Our own database failed.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The sync took longer than it may.
    #[error("the sync did not end within {0:?} (spec.sync.timeout)")]
    Timeout(Duration),
    /// Some packages could not be read; the others are up to date.
    #[error("{failed} of {total} packages could not be read; the first, {first}")]
    Partial {
        /// How many failed.
        failed: usize,
        /// Of how many.
        total: usize,
        /// The name and error of the first.
        first: String,
        /// When the source said to come back.
        retry_after: Option<Duration>,
    },
    /// The source lists a name, but has nothing under it.
    #[error("the repository lists this package, but answers that it does not have it")]
    Contradiction,
    /// More packages of this repository are waited for than can be read soon.
    #[error("too many packages of this repository are being asked for")]
    Busy,
    /// Another process has the claim to sync this repository.
    #[error("another process is syncing this repository")]
    Elsewhere,
    /// The program is shutting down, or the settings changed.
    #[error("the program is shutting down, or the settings have changed")]
    Stopped,
}

impl SyncError {
    /// Whether only a change of settings can cure it.
    pub fn is_lasting(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_lasting())
    }

    /// When the source said to come back.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Source(error) => error.retry_after(),
            Self::Partial { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}

/// A package could not be read on demand. Cheap to clone, as many may wait for it.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct ReadError {
    /// For the log.
    pub message: String,
    /// When the source said to come back.
    pub retry_after: Option<Duration>,
}

impl From<SyncError> for ReadError {
    fn from(error: SyncError) -> Self {
        Self {
            message: error.to_string(),
            retry_after: error.retry_after(),
        }
    }
}
