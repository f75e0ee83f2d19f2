//! The folder: its lock, its layout, and what makes a change of it durable.

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::ErrorKind,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use package_broker_core::domain::archive::BlobId;

use super::{Failure, Outcome};

/// How long a held lock is waited for. A process that is starting a child shares its open files with it for a moment,
/// and its locks too: a lock that was just let go may be held for that long.
const LOCK_PATIENCE: Duration = Duration::from_millis(250);
const LOCK_RETRY: Duration = Duration::from_millis(10);

/// A locked folder. The lock goes with it, also when the process is killed.
#[derive(Debug)]
pub(super) struct Folder {
    blobs: PathBuf,
    staging: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn open(dir: &Path) -> Outcome<Self> {
        create_dir(dir, true)?;
        let lock = lock(&dir.join("lock"))?;
        let (blobs, staging) = (dir.join("blobs"), dir.join("staging"));
        create_dir(&blobs, false)?;
        create_dir(&staging, false)?;
        sync_dir(dir)?;
        empty(&staging)?;
        Ok(Self {
            blobs,
            staging,
            _lock: lock,
        })
    }

    /// Where a blob is, or would be.
    pub(super) fn blob(&self, id: &BlobId) -> PathBuf {
        let name = id.hex();
        self.blobs
            .join(name.get(..2).unwrap_or_default())
            .join(name)
    }

    /// Creates a new file in staging.
    pub(super) fn stage(&self) -> Outcome<(PathBuf, File)> {
        let number =
            getrandom::u64().map_err(|error| Failure(format!("no random name: {error}")))?;
        let path = self.staging.join(format!("{number:016x}"));
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Failure::at(&path))?;
        Ok((path, file))
    }

    /// Gives a staged file, already on the disk, its place as a blob. Over one that is there: the bytes are the same.
    pub(super) fn publish(&self, staged: &Path, id: &BlobId) -> Outcome<()> {
        let path = self.blob(id);
        let parent = path.parent().unwrap_or(&self.blobs);
        create_dir(parent, false)?;
        std::fs::rename(staged, &path).map_err(Failure::at(&path))?;
        sync_dir(parent)?;
        // Whether or not it was us who made `parent`: another commit may have, and not be this far yet.
        sync_dir(&self.blobs)
    }
}

/// Removes a file, durably, if it is there.
pub(super) fn remove(path: &Path) -> Outcome<()> {
    match std::fs::remove_file(path) {
        Ok(()) => path.parent().map_or(Ok(()), sync_dir),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Failure::at(path)(error)),
    }
}

fn lock(path: &Path) -> Outcome<File> {
    let file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(Failure::at(path))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(Failure::at(path)(error)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_RETRY),
            Err(TryLockError::WouldBlock) => break,
        }
    }
    Err(Failure(format!(
        "another process holds {}; stop it, or give this one a data folder of its own",
        path.display()
    )))
}

fn create_dir(path: &Path, parents: bool) -> Outcome<()> {
    match DirBuilder::new()
        .mode(0o700)
        .recursive(parents)
        .create(path)
    {
        Err(error) if error.kind() != ErrorKind::AlreadyExists || !path.is_dir() => {
            Err(Failure::at(path)(error))
        }
        _ => Ok(()),
    }
}

/// Removes what an earlier process was writing when it ended. Files may go meanwhile: those that were dropped just
/// before the folder was let go are removed on threads of their own.
fn empty(staging: &Path) -> Outcome<()> {
    let entries = std::fs::read_dir(staging).map_err(Failure::at(staging))?;
    for entry in entries {
        let path = entry.map_err(Failure::at(staging))?.path();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::at(&path)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The size of a file; `None` if there is no such file.
pub(super) fn size(path: &Path) -> Outcome<Option<u64>> {
    match std::fs::metadata(path) {
        Ok(found) => Ok(Some(found.len())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::at(path)(error)),
    }
}

/// Makes the names in a folder survive a loss of power.
fn sync_dir(path: &Path) -> Outcome<()> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(Failure::at(path))
}
