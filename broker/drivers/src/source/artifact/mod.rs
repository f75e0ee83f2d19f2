//! A folder of package archives, read as Composer's own `artifact` repository reads it.
//!
//! Every zip and tar in the folder and below is one version, named by the composer.json inside of it. Archives come
//! from whoever may write to the folder, so they are never unpacked, read only within bounds, and one that is broken
//! is left out with its reason. Unlike Composer, files and folders whose names begin with a dot are passed over: they
//! are uploads in progress and the inner folders of Kubernetes volumes.
//!
//! A file is opened again only when its size, times or inode change. One that changes while it is read, or cannot be
//! read for now, waits for the next sync, and what it was before stays until then.

mod contents;
mod folder;
mod inspect;
mod reader;
mod refresh;
mod refusal;
mod scan;
mod state;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use package_broker_core::{
    domain::repository::Repository,
    ports::source::{ArchiveSink, Listing, Source, SourceError, Survey, WantedArchive},
};
use tokio::sync::Semaphore;
use url::Url;

use self::{
    folder::Folder, inspect::Inspector, reader::ArtifactReader, refresh::PATIENCE,
    refusal::Refusal, state::State,
};
use super::{SourceLimits, egress::EgressPolicy};

/// How many files of one folder are read at once.
const PARALLEL: usize = 2;
/// How much of an archive is in memory while it is handed on.
const CHUNK: u64 = 256 << 10;
/// The largest composer.json that is read, in bytes; real ones are below 100 KiB.
const MAX_COMPOSER_JSON: u64 = 1 << 20;

/// A [`Source`] over a folder of archives.
pub struct ArtifactSource {
    folder: Arc<Folder>,
    inspector: Inspector,
    turns: Arc<Semaphore>,
    patience: Duration,
}

impl ArtifactSource {
    /// Takes the folder from the repository's URL: an absolute path, one relative to the working directory, or a
    /// `file:///` URL. Touches no file.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] unless the policy allows local files, [`SourceError::Misconfigured`] if the URL
    /// names no folder of this machine.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "every source is opened with a share of the policy"
    )]
    pub fn open(
        repository: &Repository,
        policy: Arc<EgressPolicy>,
        limits: &SourceLimits,
    ) -> Result<Self, SourceError> {
        let path = local_path(&repository.url)?;
        if !policy.allow_file {
            return Err(SourceError::Forbidden {
                url: repository.url.clone(),
                reason:
                    "local files are off; PackageBroker spec.egress.allowFileUrls turns them on"
                        .to_owned(),
            });
        }
        let max_composer_json = limits.max_metadata_size.min(MAX_COMPOSER_JSON);
        Ok(Self {
            folder: Arc::new(Folder::new(path)),
            inspector: Inspector { max_composer_json },
            turns: Arc::new(Semaphore::new(PARALLEL)),
            patience: PATIENCE,
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, SourceError> {
        blocking(&self.turns, &self.folder, work).await
    }
}

#[async_trait]
impl Source for ArtifactSource {
    async fn survey(&self, previous: Option<&str>) -> Result<Survey, SourceError> {
        let previous = previous.map(State::decode).unwrap_or_default();
        let (state, opened) = self.refresh(&previous).await?;
        tracing::debug!(
            folder = self.folder.shown(),
            files = state.files.len(),
            opened,
            "artifacts surveyed"
        );
        let packages = state.packages();
        Ok(Survey {
            listing: Listing::Names(packages.keys().cloned().collect()),
            unchanged: state == previous,
            skipped: state.skipped(),
            state: Some(state.encode()),
            reader: Arc::new(ArtifactReader {
                folder: Arc::clone(&self.folder),
                inspector: self.inspector,
                turns: Arc::clone(&self.turns),
                packages,
            }),
        })
    }

    async fn archive(
        &self,
        wanted: &WantedArchive,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        let gone = |problem: String| SourceError::Gone {
            what: wanted.package.to_string(),
            problem,
        };
        let dist = wanted
            .version
            .dist()
            .filter(|dist| dist.reference == wanted.reference);
        let path = dist
            .as_ref()
            .and_then(|dist| folder::path_of_url(&dist.url));
        let path =
            path.ok_or_else(|| gone("the folder has no file for this reference".to_owned()))?;
        let folder = Arc::clone(&self.folder);
        let mut file =
            tokio::task::spawn_blocking(move || folder.open(&path).map(|(file, _)| file))
                .await
                .map_err(|_| self.folder.unavailable("reading it was stopped"))?
                .map_err(|refusal| match refusal {
                    Refusal::Unreadable(error) if error.kind() != io::ErrorKind::NotFound => {
                        self.folder.unavailable(format!(
                            "an archive of {} cannot be read: {error}",
                            wanted.package
                        ))
                    }
                    other => gone(other.to_string()),
                })?;
        loop {
            let read = tokio::task::spawn_blocking(move || {
                read_chunk(&mut file).map(|chunk| (chunk, file))
            })
            .await;
            let read = read.unwrap_or_else(|_| Err(io::Error::other("it was stopped")));
            let (chunk, rest) = read.map_err(|error| {
                self.folder.unavailable(format!(
                    "an archive of {} cannot be read: {error}",
                    wanted.package
                ))
            })?;
            if chunk.is_empty() {
                return Ok(());
            }
            sink.write(chunk).await?;
            file = rest;
        }
    }
}

fn read_chunk(file: &mut File) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(usize::try_from(CHUNK).unwrap_or_default());
    file.take(CHUNK).read_to_end(&mut chunk)?;
    Ok(chunk.into())
}

/// Runs blocking work off the runtime. The turn is held until the work ends, also when nobody waits for it any more.
async fn blocking<T: Send + 'static>(
    turns: &Arc<Semaphore>,
    folder: &Folder,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SourceError> {
    let stopped = || folder.unavailable("reading it was stopped");
    let turn = Arc::clone(turns)
        .acquire_owned()
        .await
        .map_err(|_| stopped())?;
    let done = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        work()
    });
    done.await.map_err(|_| stopped())
}

/// The folder that a `Repository spec.url` of type `artifact` names.
fn local_path(url: &str) -> Result<PathBuf, SourceError> {
    let wrong = || SourceError::Misconfigured {
        problem: format!("\"{url}\" is not a folder of this machine"),
        fix: "write a path such as /srv/artifacts, or file:///srv/artifacts".to_owned(),
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
