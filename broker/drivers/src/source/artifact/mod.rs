//! Package archives in a folder or a bucket, read as Composer's own `artifact` repository reads a folder.
//!
//! Every zip and tar in the place and below is one version, named by the composer.json inside of it. Archives come
//! from whoever may write there, so they are never unpacked, read only within bounds, and one that is broken is left
//! out with its reason. Unlike Composer, files and folders whose names begin with a dot are passed over: they are
//! uploads in progress and the inner folders of Kubernetes volumes.
//!
//! A file is read again only when its stamp moves (size, times and inode of a file; size, time and `ETag` of an
//! object). One that changes while it is read, or cannot be read for now, waits for the next sync, and what it was
//! before stays until then.

mod bucket;
mod contents;
mod inspect;
mod local;
mod place;
mod reader;
mod refresh;
mod refusal;
mod state;
#[cfg(test)]
mod tests;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use package_broker_core::{
    domain::repository::Repository,
    ports::source::{ArchiveSink, Listing, Source, SourceError, Survey, WantedArchive},
};

use self::{
    bucket::Bucket,
    inspect::Inspector,
    local::Local,
    place::Place,
    reader::{ArtifactReader, Packages},
    refresh::PATIENCE,
    state::State,
};
use super::http::Network;

/// The largest composer.json that is read, in bytes; real ones are below 100 KiB.
const MAX_COMPOSER_JSON: u64 = 1 << 20;

/// A [`Source`] over a place of archives.
pub struct ArtifactSource {
    place: Arc<Place>,
    /// What the last survey found; shared with its reader.
    surveyed: Mutex<Arc<Packages>>,
    patience: Duration,
}

impl ArtifactSource {
    /// Takes the place from the repository's URL: `s3://bucket/prefix`, or a folder of this machine as an absolute
    /// path, one relative to the working directory, or a `file:///` URL. Does no I/O. `scratch` is a folder for
    /// objects while they are looked into; it is made when needed, and holds no named files.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] where the policy refuses local files or the bucket's endpoint,
    /// [`SourceError::Misconfigured`] if URL, `bucket` or credentials cannot work.
    pub fn open(
        repository: &Repository,
        network: &Arc<Network>,
        scratch: &Path,
    ) -> Result<Self, SourceError> {
        let max_composer_json = network.limits().max_metadata_size.min(MAX_COMPOSER_JSON);
        let inspector = Inspector { max_composer_json };
        Ok(Self::over(if bucket::is_bucket(&repository.url) {
            let bucket = Bucket::open(repository, network, inspector, scratch)?;
            Place::Bucket(Box::new(bucket))
        } else {
            Place::Local(Local::open(&repository.url, network.policy(), inspector)?)
        }))
    }

    fn over(place: Place) -> Self {
        Self {
            place: Arc::new(place),
            surveyed: Mutex::default(),
            patience: PATIENCE,
        }
    }

    fn surveyed(&self) -> Arc<Packages> {
        let surveyed = self.surveyed.lock();
        Arc::clone(&surveyed.unwrap_or_else(PoisonError::into_inner))
    }

    fn set_surveyed(&self, packages: &Arc<Packages>) {
        let mut surveyed = self.surveyed.lock().unwrap_or_else(PoisonError::into_inner);
        *surveyed = Arc::clone(packages);
    }
}

#[async_trait]
impl Source for ArtifactSource {
    async fn survey(&self, previous: Option<&str>) -> Result<Survey, SourceError> {
        let previous = previous.map(State::decode).unwrap_or_default();
        let (state, opened) = self.refresh(&previous).await?;
        tracing::debug!(
            place = self.place.shown(),
            files = state.files.len(),
            opened,
            "artifacts surveyed"
        );
        let packages = Arc::new(state.packages());
        self.set_surveyed(&packages);
        Ok(Survey {
            listing: Listing::Names(packages.keys().cloned().collect()),
            unchanged: state == previous,
            skipped: state.skipped(),
            revision: None,
            state: Some(state.encode()),
            reader: Arc::new(ArtifactReader {
                place: Arc::clone(&self.place),
                packages,
            }),
        })
    }

    async fn archive(
        &self,
        wanted: &WantedArchive,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        let dist = wanted
            .version
            .dist()
            .filter(|dist| dist.reference == wanted.reference);
        let path = dist
            .and_then(|dist| self.place.path_of_url(&dist.url))
            .ok_or_else(|| SourceError::Gone {
                what: wanted.package.to_string(),
                problem: "there is no file for this reference".to_owned(),
            })?;
        let surveyed = self.surveyed();
        let known = surveyed
            .get(&wanted.package)
            .and_then(|package| package.files.iter().find(|file| file.path == path));
        self.place.copy(&path, known, &wanted.package, sink).await
    }
}
