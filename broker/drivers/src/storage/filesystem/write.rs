//! Writing a blob: gathered into large writes, on the disk before it has its name.

use std::{fs::File, io::Write, mem, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use bytes::Bytes;
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Staged, StorageError},
};

use super::{Failure, Outcome, blocking, folder::Folder};

/// Bytes gathered before they are written: chunks from a network are small, and each trip to a thread has its price.
const GATHER: usize = 256 * 1024;

/// A blob being written. Dropped, it takes its file along.
pub(super) struct StagedFile {
    folder: Arc<Folder>,
    path: PathBuf,
    file: Arc<File>,
    gathered: Vec<u8>,
    /// False while a write is under way, and for good after one that failed or was given up: the file's content is
    /// then unknown, and must not become a blob.
    intact: bool,
    committed: bool,
}

impl StagedFile {
    pub(super) fn create(folder: Arc<Folder>) -> Outcome<Self> {
        let (path, file) = folder.stage()?;
        let file = Arc::new(file);
        Ok(Self {
            folder,
            path,
            file,
            gathered: Vec::new(),
            intact: true,
            committed: false,
        })
    }

    async fn flush(&mut self) -> Result<(), StorageError> {
        if !mem::replace(&mut self.intact, false) {
            return Err(StorageError::new(
                "write a file",
                "an earlier write to it failed",
            ));
        }
        let (mut gathered, file, path) = (
            mem::take(&mut self.gathered),
            Arc::clone(&self.file),
            self.path.clone(),
        );
        let write = move || {
            (&*file).write_all(&gathered).map_err(Failure::at(&path))?;
            gathered.clear();
            Ok(gathered)
        };
        self.gathered = blocking("write a file", write).await?;
        self.intact = true;
        Ok(())
    }
}

#[cfg(test)]
impl StagedFile {
    /// Replaces the file by one that was opened for reading only, so that writes to it fail.
    pub(super) fn fail_writes(&mut self) {
        self.file = Arc::new(File::open(&self.path).unwrap());
    }
}

#[async_trait]
impl Staged for StagedFile {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.gathered.extend_from_slice(&chunk);
        if self.gathered.len() >= GATHER {
            self.flush().await
        } else {
            Ok(())
        }
    }

    async fn commit(mut self: Box<Self>, id: &BlobId) -> Result<(), StorageError> {
        self.flush().await?;
        let (folder, file, path, id) = (
            Arc::clone(&self.folder),
            Arc::clone(&self.file),
            self.path.clone(),
            *id,
        );
        let publish = move || {
            file.sync_all().map_err(Failure::at(&path))?;
            folder.publish(&path, &id)
        };
        blocking("store a file", publish).await?;
        self.committed = true;
        Ok(())
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if self.committed {
            return;
        }
        let path = mem::take(&mut self.path);
        // What cannot be removed now is removed at the next start.
        let remove = move || drop(std::fs::remove_file(path));
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
