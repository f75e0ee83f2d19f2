//! Archives as files in a folder that one process owns.
//!
//! ```text
//! DIR/lock                     held by the process that uses the folder
//! DIR/blobs/<2 hex>/<64 hex>   whole blobs, under the SHA-256 of their bytes
//! DIR/staging/<16 hex>         blobs being written; removed at the next start
//! ```
//!
//! A blob is written in `staging`, flushed to the disk, then renamed: under `blobs` there is never a part of one.

mod folder;
mod read;
mod write;

#[cfg(test)]
mod tests;

use std::{io, path::Path, sync::Arc};

use async_trait::async_trait;
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Blob, Staged, Storage, StorageError},
};

use self::{folder::Folder, write::StagedFile};

/// A folder of blobs. Cheap to clone; the folder's lock is held until the last clone and the last staged blob are
/// gone.
#[derive(Clone, Debug)]
pub struct Filesystem {
    folder: Arc<Folder>,
}

impl Filesystem {
    /// Opens the folder `dir`, and makes it (mode 0700) where there is none. What an earlier process left in
    /// staging is removed.
    ///
    /// # Errors
    /// [`StorageError`] with the path: if another process uses the folder, or if it cannot be made or written.
    pub async fn open(dir: &Path) -> Result<Self, StorageError> {
        let dir = dir.to_owned();
        let folder = blocking("open its folder", move || Folder::open(&dir)).await?;
        Ok(Self {
            folder: Arc::new(folder),
        })
    }
}

#[async_trait]
impl Storage for Filesystem {
    async fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        let folder = Arc::clone(&self.folder);
        let staged = blocking("create a file", move || StagedFile::create(folder)).await?;
        Ok(Box::new(staged))
    }

    async fn open(&self, id: &BlobId) -> Result<Option<Blob>, StorageError> {
        let path = self.folder.blob(id);
        blocking("read a file", move || read::open(path)).await
    }

    async fn size(&self, id: &BlobId) -> Result<Option<u64>, StorageError> {
        let path = self.folder.blob(id);
        blocking("look at a file", move || folder::size(&path)).await
    }

    async fn remove(&self, id: &BlobId) -> Result<(), StorageError> {
        let path = self.folder.blob(id);
        blocking("remove a file", move || folder::remove(&path)).await
    }
}

/// A failure of the file system, with the path it concerns.
type Outcome<T> = Result<T, Failure>;

#[derive(Debug)]
struct Failure(String);

impl Failure {
    /// For `map_err`: what went wrong with `path`.
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self(format!("{}: {error}", path.display()))
    }
}

/// Runs file system work where it may block.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Outcome<T> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|Failure(problem)| StorageError::new(action, problem)),
        Err(_) => Err(StorageError::new(action, "the program is shutting down")),
    }
}
