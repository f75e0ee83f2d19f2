//! A folder of this machine. All work on it is off the runtime.

mod folder;
mod scan;

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
};

use bytes::Bytes;
use package_broker_core::{
    domain::{archive::ArchiveFormat, metadata::Fields, names::PackageName},
    ports::source::{ArchiveSink, SourceError},
};
use tokio::sync::Semaphore;
use url::Url;

use self::folder::Folder;
pub(super) use self::{
    folder::{FileStamp, FolderId},
    scan::MAX_DEPTH,
};
use super::{
    inspect::{self, Digest, Inspector},
    place::{Candidate, Listed, MAX_FILE, PARALLEL, Stamp},
    refusal::Refusal,
    state::{Identity, PackageFile},
};
use crate::source::egress::EgressPolicy;

/// How much of an archive is in memory while it is handed on.
const CHUNK: u64 = 256 << 10;

/// A folder and the turns in which it is read.
pub(in crate::source::artifact) struct Local {
    folder: Arc<Folder>,
    inspector: Inspector,
    turns: Arc<Semaphore>,
}

impl Local {
    /// The folder of a `Repository spec.url`: an absolute path, one relative to the working directory, or a
    /// `file:///` URL. Touches no file.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] unless the policy allows local files, [`SourceError::Misconfigured`] if the URL
    /// names no folder of this machine.
    pub(in crate::source::artifact) fn open(
        url: &str,
        policy: &EgressPolicy,
        inspector: Inspector,
    ) -> Result<Self, SourceError> {
        let path = local_path(url)?;
        if !policy.allow_file {
            return Err(SourceError::Forbidden {
                url: url.to_owned(),
                reason:
                    "local files are off; PackageBroker spec.egress.allowFileUrls turns them on"
                        .to_owned(),
            });
        }
        Ok(Self::new(path, inspector))
    }

    pub(in crate::source::artifact) fn new(path: PathBuf, inspector: Inspector) -> Self {
        Self {
            folder: Arc::new(Folder::new(path)),
            inspector,
            turns: Arc::new(Semaphore::new(PARALLEL)),
        }
    }

    pub(in crate::source::artifact) fn shown(&self) -> &str {
        self.folder.shown()
    }

    pub(in crate::source::artifact) async fn list(&self) -> Result<Listed, SourceError> {
        let folder = Arc::clone(&self.folder);
        self.blocking(move || scan::scan(&folder)).await?
    }

    /// Reads a whole file and says what it is, unless it changes meanwhile.
    pub(in crate::source::artifact) async fn identify(
        &self,
        candidate: &Candidate,
    ) -> Result<Identity, Refusal> {
        let Stamp::File(stamp) = candidate.stamp else {
            return Err(Refusal::Busy);
        };
        if stamp.size() > MAX_FILE {
            return Err(Refusal::TooLarge);
        }
        let (folder, inspector) = (Arc::clone(&self.folder), self.inspector);
        let (path, format) = (candidate.path.clone(), candidate.format);
        self.blocking(move || {
            stamp.settle();
            unchanging(&folder, &path, stamp, |file| {
                let digest = Digest::of(file)?;
                Ok(inspector.judge(file, format, digest)?.0)
            })
        })
        .await
        .map_err(Refusal::Stopped)?
    }

    /// Reads the metadata of a file, if it still is as it was.
    pub(in crate::source::artifact) async fn fields(
        &self,
        file: &PackageFile,
    ) -> Result<Fields, Refusal> {
        let Some(Stamp::File(stamp)) = file.stamp else {
            return Err(Refusal::Busy);
        };
        let format = ArchiveFormat::of_file(&file.path).ok_or(Refusal::NoComposerJson)?;
        let (folder, inspector) = (Arc::clone(&self.folder), self.inspector);
        let path = file.path.clone();
        self.blocking(move || {
            unchanging(&folder, &path, stamp, |open| {
                inspect::parse(&inspector.composer_json(open, format)?)
            })
        })
        .await
        .map_err(Refusal::Stopped)?
    }

    /// Copies a file as it is now.
    ///
    /// # Errors
    /// [`SourceError::Gone`] if it is not there or leads out of the folder, [`SourceError::Unavailable`] if it cannot
    /// be read.
    pub(in crate::source::artifact) async fn copy(
        &self,
        path: &str,
        package: &PackageName,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        let unreadable = |error: io::Error| {
            self.folder
                .unavailable(format!("an archive of {package} cannot be read: {error}"))
        };
        let (folder, path) = (Arc::clone(&self.folder), path.to_owned());
        let opened = tokio::task::spawn_blocking(move || folder.open(&path).map(|(file, _)| file));
        let mut file =
            opened
                .await
                .map_err(|_| self.stopped())?
                .map_err(|refusal| match refusal {
                    Refusal::Unreadable(error) if error.kind() != io::ErrorKind::NotFound => {
                        unreadable(error)
                    }
                    other => SourceError::Gone {
                        what: package.to_string(),
                        problem: other.to_string(),
                    },
                })?;
        loop {
            let read = tokio::task::spawn_blocking(move || {
                read_chunk(&mut file).map(|chunk| (chunk, file))
            });
            let read = read.await;
            let read = read.unwrap_or_else(|_| Err(io::Error::other("it was stopped")));
            let (chunk, rest) = read.map_err(unreadable)?;
            if chunk.is_empty() {
                return Ok(());
            }
            sink.write(chunk).await?;
            file = rest;
        }
    }

    /// Runs blocking work off the runtime. The turn is held until the work ends, also when nobody waits for it any
    /// more.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SourceError> {
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let turn = turn.map_err(|_| self.stopped())?;
        let done = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| self.stopped())
    }

    fn stopped(&self) -> SourceError {
        self.folder.unavailable("reading it was stopped")
    }
}

/// Does something with a file, and refuses the result if the file was not the expected one from beginning to end.
fn unchanging<T>(
    folder: &Folder,
    path: &str,
    expected: FileStamp,
    work: impl FnOnce(&mut File) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let (mut file, before) = folder.open(path)?;
    if before != expected {
        return Err(Refusal::Busy);
    }
    let result = work(&mut file);
    if folder.stamp(path).ok() != Some(expected) {
        return Err(Refusal::Busy);
    }
    result
}

fn read_chunk(file: &mut File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(usize::try_from(CHUNK).unwrap_or_default());
    file.take(CHUNK).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// The folder that a `Repository spec.url` of type `artifact` names.
fn local_path(url: &str) -> Result<PathBuf, SourceError> {
    let wrong = || SourceError::Misconfigured {
        problem: format!("\"{url}\" is neither a folder of this machine nor a bucket"),
        fix: "write a path such as /srv/artifacts, file:///srv/artifacts, or s3://bucket/prefix"
            .to_owned(),
    };
    match Url::parse(url) {
        Ok(parsed) if parsed.scheme() == "file" && url.starts_with("file:///") => {
            parsed.to_file_path().map_err(|()| wrong())
        }
        Ok(_) => Err(wrong()),
        Err(_) if url.is_empty() || url.contains("://") || url.contains('\0') => Err(wrong()),
        Err(_) => Ok(PathBuf::from(url)),
    }
}
