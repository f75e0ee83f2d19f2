//! Sources of packages: Composer repositories, git repositories, folders of archives.
//!
//! A sync first takes a [`Survey`] of what is there, then reads packages one by one from it, several at once.
//! A request for a name that no sync has read yet takes the same way for that one name.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{database::PackageStore, storage::StorageError};
use crate::domain::{
    archive::{ArchiveDefect, ArchiveFormat},
    integrity::{Edges, Unpacking},
    metadata::{Fields, PackageVersions, Version},
    names::{PackageName, RepositoryName},
    patterns::NamePattern,
    repository::Repository,
    skipped::Skipped,
};

/// Opens the source behind a repository. The one place that knows which protocol is spoken by whom.
pub trait Sources: Send + Sync {
    /// Builds a source; does no I/O.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if the URL, path or credentials cannot work.
    fn open(&self, repository: &Repository) -> Result<Arc<dyn Source>, SourceError>;
}

/// One source of packages. Implementations bound every body by size and every wait by time, and send credentials
/// only to the host they were given for.
#[async_trait]
pub trait Source: Send + Sync {
    /// Looks at what is there now. `previous` is the text a survey of this source gave last time
    /// ([`Survey::state`]), for conditional requests; it may be from an older program and is then ignored.
    async fn survey(&self, previous: Option<&str>) -> Result<Survey, SourceError>;

    /// Writes the archive of one version into `sink`, as the source has it or built from it. Archives built here
    /// are the same bytes each time (design rule 4). Cancel safe: dropped, it leaves nothing behind.
    async fn archive(
        &self,
        wanted: &WantedArchive,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError>;
}

/// What a source holds at one moment.
pub struct Survey {
    /// Which names it can be asked for.
    pub listing: Listing,
    /// Text for the next survey, kept with the repository once everything read from this one is stored.
    pub state: Option<String>,
    /// `true` if nothing at all changed since `previous`: no package has to be read.
    pub unchanged: bool,
    /// Refs or files that belong to no package, with the reasons.
    pub skipped: Vec<Skipped>,
    /// What people call this moment, if the source has a word for it: `main@sha1:COMMIT`, as Flux writes it.
    pub revision: Option<String>,
    /// Reads packages of this moment.
    pub reader: Arc<dyn PackageReader>,
}

/// What a source says about the names it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listing {
    /// Exactly these.
    Names(Vec<PackageName>),
    /// Perhaps every name that matches one of these; there is no list.
    Patterns(Vec<NamePattern>),
    /// It does not say.
    Unlisted,
}

/// Reads the packages of a [`Survey`].
#[async_trait]
pub trait PackageReader: Send + Sync {
    /// Reads one package. Called for several names at once.
    async fn read(&self, name: &PackageName, known: &Known) -> Result<Reading, SourceError>;
}

/// What we know of a package from the last sync.
pub struct Known {
    /// What [`Found::validator`] was; `None` if the package was never read.
    pub validator: Option<String>,
    /// Where the versions of the last sync are.
    pub packages: Arc<dyn PackageStore>,
    /// The repository being read.
    pub repository: RepositoryName,
}

impl Known {
    /// The versions and skipped refs of the last sync, for sources that build on them (a commit that was read
    /// once never changes). Empty if there are none or the database does not answer.
    pub async fn versions(&self, name: &PackageName) -> PackageVersions {
        if self.validator.is_none() {
            return PackageVersions::default();
        }
        self.packages
            .versions(&self.repository, name)
            .await
            .ok()
            .flatten()
            .unwrap_or_default()
    }
}

/// The outcome of reading one package.
pub enum Reading {
    /// As it was at the last sync.
    Unchanged,
    /// These are its versions now.
    Found(Found),
    /// The source is certain that it has no such package.
    Absent,
}

/// A package as its source gives it, unchecked.
pub struct Found {
    /// Every version of both channels, expanded, in the source's order.
    pub versions: Vec<Fields>,
    /// What the source itself could not offer.
    pub skipped: Vec<Skipped>,
    /// Text for [`Known::validator`] next time.
    pub validator: Option<String>,
}

/// Which archive is wanted from a source.
#[derive(Clone, Debug)]
pub struct WantedArchive {
    /// The package.
    pub package: PackageName,
    /// The version's metadata. For a commit that no version has now (`dev-main#<sha>`), that of the branch.
    pub version: Version,
    /// The reference to build or fetch: that of the version, or the commit asked for.
    pub reference: Option<String>,
    /// The format our URL promises.
    pub format: ArchiveFormat,
}

/// Takes the bytes of an archive: counts, hashes and stores them.
pub struct ArchiveSink {
    limit: u64,
    size: u64,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
    edges: Edges,
    unpacking: Unpacking,
    staged: Box<dyn super::storage::Staged>,
}

/// What went into an [`ArchiveSink`].
pub struct Received {
    /// Bytes written.
    pub size: u64,
    /// Their SHA-1, lower-case hexadecimal.
    pub sha1: String,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// The first and last bytes, to tell an archive from an error page or a part of one.
    pub edges: Edges,
    /// The bytes, not yet part of the storage.
    pub staged: Box<dyn super::storage::Staged>,
}

impl ArchiveSink {
    /// A sink that takes at most `limit` bytes.
    pub fn new(staged: Box<dyn super::storage::Staged>, limit: u64) -> Self {
        use sha1::Digest as _;
        Self {
            limit,
            size: 0,
            sha1: sha1::Sha1::new(),
            sha256: sha2::Sha256::new(),
            edges: Edges::default(),
            unpacking: Unpacking::default(),
            staged,
        }
    }

    /// The most bytes this sink takes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`SourceError::Defective`] past the limit and for a damaged compression, [`SourceError::Storage`] if they cannot
    /// be written.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), SourceError> {
        use sha1::Digest as _;
        self.size += chunk.len() as u64;
        if self.size > self.limit {
            return Err(SourceError::Defective(ArchiveDefect::TooLarge {
                limit: self.limit,
            }));
        }
        if chunk.is_empty() {
            return Ok(());
        }
        self.edges.take(&chunk);
        if self.unpacking.is_work() {
            self.unpack(chunk.clone()).await?;
        }
        self.sha1.update(&chunk);
        self.sha256.update(&chunk);
        self.staged.write(chunk).await.map_err(SourceError::Storage)
    }

    /// Unpacking takes time, and a small chunk may hold much: it is done off the runtime.
    async fn unpack(&mut self, chunk: Bytes) -> Result<(), SourceError> {
        let unpacking = std::mem::replace(&mut self.unpacking, Unpacking::Ended);
        let taken = tokio::task::spawn_blocking(move || unpacking.take(&chunk)).await;
        self.unpacking = taken
            .unwrap_or(Err(ArchiveDefect::Malformed {
                format: "tar",
                problem: "it could not be unpacked",
            }))
            .map_err(SourceError::Defective)?;
        Ok(())
    }

    /// Ends the writing.
    ///
    /// # Errors
    /// [`SourceError::Defective`] if a compressed archive was cut off.
    pub fn finish(self) -> Result<Received, SourceError> {
        use sha1::Digest as _;
        self.unpacking.finish().map_err(SourceError::Defective)?;
        Ok(Received {
            size: self.size,
            sha1: hex::encode(self.sha1.finalize()),
            sha256: self.sha256.finalize().into(),
            edges: self.edges,
            staged: self.staged,
        })
    }
}

/// Why a source could not answer. Messages name the URL or the host, never a credential.
#[derive(Debug, Error)]
pub enum SourceError {
    /// Asking again can help: no connection, a time-out, 5xx, 429.
    #[error("{what}: {problem}")]
    Unavailable {
        /// What was asked, for instance a URL without its query.
        what: String,
        /// What went wrong.
        problem: String,
        /// When the other side said to come back.
        retry_after: Option<Duration>,
    },
    /// The other side refused our credentials, or wants some.
    #[error(
        "{what}: access was denied ({problem}); check the Secret that credentialsSecretRef names"
    )]
    Denied {
        /// What was asked.
        what: String,
        /// Its answer in short, for instance `HTTP 401`.
        problem: String,
    },
    /// An answer that breaks the protocol or a bound, and will again.
    #[error("{what}: {problem}")]
    Invalid {
        /// What was read.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The repository's own settings cannot work.
    #[error("{problem}; {fix}")]
    Misconfigured {
        /// What is wrong.
        problem: String,
        /// What to write instead.
        fix: String,
    },
    /// The egress policy forbids the address.
    #[error("{url} is refused: {reason}")]
    Forbidden {
        /// The URL without userinfo and query.
        url: String,
        /// Which rule, and the field that would allow it.
        reason: String,
    },
    /// The source has no such archive.
    #[error("{what} is gone: {problem}")]
    Gone {
        /// What was asked.
        what: String,
        /// How we know.
        problem: String,
    },
    /// The archive's bytes are not what was promised.
    #[error("the archive was refused: {0}")]
    Defective(ArchiveDefect),
    /// Our own storage failed.
    #[error(transparent)]
    Storage(StorageError),
}

impl SourceError {
    /// Whether only a change of settings, on either side, can cure it.
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Misconfigured { .. } | Self::Forbidden { .. } | Self::Denied { .. }
        )
    }

    /// When the other side said to come back.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
