//! The folder itself: opening its files without ever leaving it, and knowing when one changed.

use std::{
    fs::{self, File, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Component, Path, PathBuf},
    thread,
    time::{Duration, SystemTime},
};

use package_broker_core::ports::source::SourceError;
use serde::{Deserialize, Serialize};

use crate::source::artifact::refusal::Refusal;

/// Longer than the steps in which file systems count time: a write after this wait gets another time than one before.
const TIME_STEP: Duration = Duration::from_millis(50);

/// What is compared to know that a file is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::artifact) struct FileStamp {
    size: u64,
    /// Nanoseconds since the Unix epoch.
    modified: i64,
    /// The same, of the inode: nobody can set it back.
    changed: i64,
    inode: u64,
}

impl FileStamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let nanos =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Self {
            size: metadata.len(),
            modified: nanos(metadata.mtime(), metadata.mtime_nsec()),
            changed: nanos(metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }

    /// The size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Waits, at most 50 ms, until a write from now on would show in the stamp.
    pub(super) fn settle(&self) {
        let age = self.age().unwrap_or_default();
        if let Some(rest) = TIME_STEP.checked_sub(age) {
            thread::sleep(rest);
        }
    }

    /// Whether the file changed within that time. Never true of a time that lies ahead: it would stay so for long.
    pub(in crate::source::artifact) fn is_younger_than(&self, time: Duration) -> bool {
        self.age().is_some_and(|age| age < time)
    }

    /// The time since the last change, if that was not in the future.
    fn age(&self) -> Option<Duration> {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let age = i64::try_from(now.as_nanos())
            .unwrap_or(i64::MAX)
            .saturating_sub(self.changed);
        u64::try_from(age).ok().map(Duration::from_nanos)
    }
}

/// Which folder it is, whatever its path. Another one under the same path is another volume, or the place where one
/// is to be mounted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::source::artifact) struct FolderId {
    device: u64,
    inode: u64,
}

impl FolderId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// A folder of this machine.
pub(super) struct Folder {
    path: PathBuf,
    shown: String,
}

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        let shown = path.display().to_string();
        Self { path, shown }
    }

    /// Its path as it was configured.
    pub(super) fn shown(&self) -> &str {
        &self.shown
    }

    /// Its path without links.
    pub(super) fn root(&self) -> io::Result<PathBuf> {
        fs::canonicalize(&self.path)
    }

    /// Opens a file by its path relative to the folder. Links are followed as long as they stay inside, which is
    /// judged by what was really opened, so that a link changed in between gains nothing.
    pub(super) fn open(&self, relative: &str) -> Result<(File, FileStamp), Refusal> {
        if !Path::new(relative)
            .components()
            .all(|part| matches!(part, Component::Normal(_)))
        {
            return Err(Refusal::LinkOutside);
        }
        let root = self.root()?;
        let path = root.join(relative);
        // Opening a pipe would wait for its writer.
        if !fs::metadata(&path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::NotFound, "it is no file").into());
        }
        let file = File::open(&path)?;
        let opened = file.metadata()?;
        let real = fs::canonicalize(&path)?;
        let inside = fs::symlink_metadata(&real)?;
        if !real.starts_with(&root) {
            return Err(Refusal::LinkOutside);
        }
        if (inside.dev(), inside.ino()) != (opened.dev(), opened.ino()) {
            return Err(Refusal::Busy);
        }
        Ok((file, FileStamp::of(&opened)))
    }

    /// The stamp of what is under a relative path now.
    pub(super) fn stamp(&self, relative: &str) -> io::Result<FileStamp> {
        Ok(FileStamp::of(&fs::metadata(self.path.join(relative))?))
    }

    /// A failure that may pass.
    pub(super) fn unavailable(&self, problem: impl Into<String>) -> SourceError {
        SourceError::Unavailable {
            what: self.shown.clone(),
            problem: problem.into(),
            retry_after: None,
        }
    }
}
