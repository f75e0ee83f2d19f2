//! Where the bytes of a blob wait until its key is known: in memory, then in a file without a name.

use std::{
    fs::{File, Permissions},
    io::{self, Write},
    mem,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use package_broker_core::ports::storage::StorageError;

/// The most bytes kept in memory: most packages fit, and the disk is spared.
pub(super) const MEMORY: usize = 1 << 20;

/// Bytes gathered before they are written, once there is a file.
const GATHER: usize = 256 * 1024;

const WRITE: &str = "write a file";

/// A blob that is being gathered.
pub(super) struct Spool {
    scratch: PathBuf,
    gathered: Vec<u8>,
    file: Option<Arc<File>>,
    /// Bytes in the file.
    written: u64,
    /// False while a write is under way, and for good after one that failed or was given up: the file's content is
    /// then unknown, and must not become a blob.
    intact: bool,
}

/// A blob that is gathered.
pub(super) enum Content {
    Memory(Bytes),
    File(SpoolFile),
}

/// An open file that has no name: it goes with the process, however that ends.
#[derive(Clone)]
pub(super) struct SpoolFile {
    file: Arc<File>,
    scratch: PathBuf,
    pub(super) size: u64,
}

impl Spool {
    pub(super) fn new(scratch: PathBuf) -> Self {
        Self {
            scratch,
            gathered: Vec::new(),
            file: None,
            written: 0,
            intact: true,
        }
    }

    pub(super) async fn write(&mut self, chunk: &[u8]) -> Result<(), StorageError> {
        self.gathered.extend_from_slice(chunk);
        let bound = if self.file.is_some() { GATHER } else { MEMORY };
        if self.gathered.len() > bound {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Ends the writing.
    pub(super) async fn finish(mut self) -> Result<Content, StorageError> {
        if self.file.is_none() && self.intact {
            return Ok(Content::Memory(self.gathered.into()));
        }
        self.flush().await?;
        let file = self
            .file
            .ok_or_else(|| StorageError::new(WRITE, "there is none"))?;
        Ok(Content::File(SpoolFile {
            file,
            scratch: self.scratch,
            size: self.written,
        }))
    }

    async fn flush(&mut self) -> Result<(), StorageError> {
        if !mem::replace(&mut self.intact, false) {
            return Err(StorageError::new(WRITE, "an earlier write to it failed"));
        }
        let (mut gathered, file, scratch) = (
            mem::take(&mut self.gathered),
            self.file.clone(),
            self.scratch.clone(),
        );
        let size = gathered.len() as u64;
        let write = move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(unnamed(&scratch)?),
            };
            (&*file).write_all(&gathered).map_err(at(&scratch))?;
            gathered.clear();
            gathered.shrink_to(GATHER);
            Ok((file, gathered))
        };
        let (file, gathered) = blocking(WRITE, write).await?;
        (self.file, self.gathered) = (Some(file), gathered);
        self.written += size;
        self.intact = true;
        Ok(())
    }

    /// Whether it is beyond what is kept in memory.
    #[cfg(test)]
    pub(super) fn is_on_disk(&self) -> bool {
        self.file.is_some()
    }

    /// Bytes in memory.
    #[cfg(test)]
    pub(super) fn in_memory(&self) -> usize {
        self.gathered.capacity()
    }
}

impl SpoolFile {
    /// Reads `size` bytes from `offset` on.
    pub(super) async fn read(&self, offset: u64, size: usize) -> Result<Bytes, StorageError> {
        let Self { file, scratch, .. } = self.clone();
        let read = move || {
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, offset)
                .map_err(at(&scratch))?;
            Ok(bytes.into())
        };
        blocking("read a file", read).await
    }
}

#[cfg(test)]
impl SpoolFile {
    pub(super) fn metadata(&self) -> std::fs::Metadata {
        self.file.metadata().unwrap()
    }
}

/// Makes a file that has no name from the start, or loses it at once, and that is ours alone.
fn unnamed(scratch: &Path) -> Result<File, String> {
    let file = tempfile::tempfile_in(scratch).map_err(at(scratch))?;
    file.set_permissions(Permissions::from_mode(0o600))
        .map_err(at(scratch))?;
    Ok(file)
}

/// For `map_err`: what went wrong with a file in the scratch folder.
fn at(scratch: &Path) -> impl FnOnce(io::Error) -> String {
    move |error| format!("a file in {}: {error}", scratch.display())
}

/// Runs file system work where it may block.
async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(|problem| StorageError::new(action, problem)),
        Err(_) => Err(StorageError::new(action, "the program is shutting down")),
    }
}
