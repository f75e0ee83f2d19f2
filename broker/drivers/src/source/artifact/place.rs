//! Where artifacts are: in a folder of this machine, or under a prefix of a bucket.
//!
//! Both are looked through for candidates, each with a stamp that moves when the file does, so that a file is read
//! again only after a change.

use std::time::Duration;

use package_broker_core::{
    domain::{archive::ArchiveFormat, metadata::Fields, names::PackageName},
    ports::source::{ArchiveSink, SourceError},
};
use serde::{Deserialize, Serialize};

use super::{
    bucket::{Bucket, ObjectStamp},
    local::{FileStamp, FolderId, Local},
    refusal::Refusal,
    state::{Identity, PackageFile},
};

/// The most archives in one place.
pub(super) const MAX_FILES: usize = 50_000;
/// The most files and folders of any kind that are looked at in one place.
pub(super) const MAX_ENTRIES: usize = 1_000_000;
/// The largest file that is read; what may be served is bounded by the installation's own limit.
pub(super) const MAX_FILE: u64 = 4 << 30;
/// How many files of one place are read at once.
pub(super) const PARALLEL: usize = 2;

/// What is compared to know that a file is still the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Stamp {
    File(FileStamp),
    Object(ObjectStamp),
}

impl Stamp {
    /// Whether the file may still be in the middle of a change that began within that time. Objects change in one
    /// step.
    pub(super) fn is_younger_than(&self, time: Duration) -> bool {
        match self {
            Self::File(stamp) => stamp.is_younger_than(time),
            Self::Object(_) => false,
        }
    }
}

/// An archive that was found.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    /// Relative to the place, with `/` between its parts.
    pub(super) path: String,
    /// What its name promises: zip, or tar with or without compression.
    pub(super) format: ArchiveFormat,
    /// How it was when it was found.
    pub(super) stamp: Stamp,
}

/// What is in a place.
#[derive(Debug, Default)]
pub(super) struct Listed {
    /// In no particular order.
    pub(super) files: Vec<Candidate>,
    /// Left out without being opened.
    pub(super) refused: Vec<(String, Refusal)>,
    /// What we may not look into: folders, and links that lead to what we may not see.
    pub(super) closed: Vec<String>,
    /// Whether a folder holds nothing at all, not even a hidden file; a new volume's `lost+found` does not count.
    pub(super) is_empty: bool,
    /// Which folder was looked through.
    pub(super) folder: Option<FolderId>,
}

/// A place of artifacts.
pub(super) enum Place {
    Local(Local),
    Bucket(Box<Bucket>),
}

impl Place {
    /// The place as it was configured.
    pub(super) fn shown(&self) -> &str {
        match self {
            Self::Local(local) => local.shown(),
            Self::Bucket(bucket) => bucket.shown(),
        }
    }

    /// A failure that may pass.
    pub(super) fn unavailable(&self, problem: impl Into<String>) -> SourceError {
        SourceError::Unavailable {
            what: self.shown().to_owned(),
            problem: problem.into(),
            retry_after: None,
        }
    }

    /// Looks for archives.
    ///
    /// # Errors
    /// Whenever what is there could not be seen as a whole: nothing must seem to have vanished.
    pub(super) async fn list(&self) -> Result<Listed, SourceError> {
        match self {
            Self::Local(local) => local.list().await,
            Self::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Reads a whole file and says what it is.
    pub(super) async fn identify(&self, candidate: &Candidate) -> Result<Identity, Refusal> {
        match self {
            Self::Local(local) => local.identify(candidate).await,
            Self::Bucket(bucket) => bucket.identify(candidate).await,
        }
    }

    /// Reads the metadata of a file that was identified before.
    pub(super) async fn fields(&self, file: &PackageFile) -> Result<Fields, Refusal> {
        match self {
            Self::Local(local) => local.fields(file).await,
            Self::Bucket(bucket) => bucket.fields(file).await,
        }
    }

    /// Copies a file into `sink`. `known` is what the last survey knows of it, if it does.
    pub(super) async fn copy(
        &self,
        path: &str,
        known: Option<&PackageFile>,
        package: &PackageName,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        match self {
            Self::Local(local) => local.copy(path, package, sink).await,
            Self::Bucket(bucket) => bucket.copy(path, known, package, sink).await,
        }
    }

    /// What dist URLs begin with; the path relative to the place follows.
    fn scheme(&self) -> &'static str {
        match self {
            Self::Local(_) => "file:",
            Self::Bucket(_) => "s3:",
        }
    }

    /// The dist URL of a file: its relative path, with the characters escaped that would end a URL's path.
    pub(super) fn url_of_path(&self, relative: &str) -> String {
        let escaped = relative
            .replace('%', "%25")
            .replace('?', "%3F")
            .replace('#', "%23");
        format!("{}{escaped}", self.scheme())
    }

    /// The relative path in a dist URL of ours.
    pub(super) fn path_of_url(&self, url: &str) -> Option<String> {
        let path = url.strip_prefix(self.scheme())?;
        Some(
            path.replace("%23", "#")
                .replace("%3F", "?")
                .replace("%25", "%"),
        )
    }
}
