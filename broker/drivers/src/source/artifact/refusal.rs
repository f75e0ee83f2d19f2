//! Why one file is left out.

use std::io;

use package_broker_core::{
    domain::{archive::ArchiveDefect, names::NameError, version::VersionError},
    ports::source::SourceError,
};
use thiserror::Error;

use super::{contents, local, place::Place};

/// A reason, as the end of a sentence that begins with the file's name.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("it changed while it was read; the next sync reads it again")]
    Busy,
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    /// An object that the bucket did not hand out, although it was listed.
    #[error("it could not be fetched: {0}; the next sync tries again")]
    Unfetched(SourceError),
    /// Nothing that concerns this file alone: it ends the whole survey.
    #[error(transparent)]
    Stopped(SourceError),
    #[error("{0}, and it was changed less than a minute ago")]
    Unfinished(String),
    #[error("it is a link that leads out of the folder; copy what it points to")]
    LinkOutside,
    #[error("its name is not UTF-8; rename it")]
    NameNotText,
    #[error("it is deeper than {} folders; move it up", local::MAX_DEPTH)]
    TooDeep,
    #[error("xz archives are not read as artifacts; pack it as .zip or .tar.gz")]
    Xz,
    #[error("it is larger than 4 GiB")]
    TooLarge,
    #[error(transparent)]
    Defect(#[from] ArchiveDefect),
    #[error("it is not a readable {format} archive: {problem}")]
    Corrupt {
        format: &'static str,
        problem: String,
    },
    #[error(
        "it holds too many files, more than {} or a directory of more than 10 MiB",
        contents::MAX_ENTRIES
    )]
    TooManyEntries,
    #[error("it unpacks to more than 8 GiB")]
    UnpacksTooLarge,
    #[error("its entry \"{0}\" leads out of the archive")]
    EntryOutside(String),
    #[error(
        "its entries begin with \"./\", which Composer cannot unpack; pack the files by their plain names"
    )]
    DotNames,
    #[error("it holds two files of one name")]
    Ambiguous,
    #[error("it has no composer.json at its top, and not one but several things there: {0}")]
    SeveralTops(String),
    #[error("it has no composer.json at its top or in its single top folder")]
    NoComposerJson,
    #[error("its composer.json is larger than {0} bytes")]
    ComposerJsonTooLarge(u64),
    #[error("its composer.json is not a JSON object: {0}")]
    NotJson(serde_json::Error),
    #[error("no name: its composer.json has no \"name\"")]
    NoName,
    #[error(transparent)]
    BadName(#[from] NameError),
    #[error(
        "no version: its composer.json has no \"version\", and the file name is not taken for one"
    )]
    NoVersion,
    #[error(transparent)]
    BadVersion(#[from] VersionError),
}

impl Refusal {
    /// Whether the verdict holds until the file changes, so that it need not be opened before.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(
            self,
            Self::Busy
                | Self::Unreadable(_)
                | Self::Unfetched(_)
                | Self::Stopped(_)
                | Self::Unfinished(_)
        )
    }

    /// Whether it says nothing of the file's content: what is known of it stands. A file that is gone does not.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreadable(error) => error.kind() != io::ErrorKind::NotFound,
            other => !other.is_settled(),
        }
    }

    /// The failure of reading a file that was surveyed, if the refusal says nothing of its content; else itself.
    pub(super) fn or_failure(self, place: &Place, path: &str) -> Result<Self, SourceError> {
        match self {
            Self::Unfetched(error) | Self::Stopped(error) => Err(error),
            refusal if refusal.is_settled() => Ok(refusal),
            passing => Err(place.unavailable(format!("{path}: {passing}"))),
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}
