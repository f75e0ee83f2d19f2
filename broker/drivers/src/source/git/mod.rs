//! Git repositories: tags and branches as versions, archives built from commits (protocol B).
//!
//! Everything is read from a bare mirror, without a checkout. The mirror follows the remote with one conversation a
//! sync; when nothing moved, that conversation is a list of refs and nothing more. The git library runs in process:
//! only ssh and local repositories need a program, `ssh` and `git`.

mod address;
mod archive;
mod candidates;
mod host;
mod manifest;
mod mirror;
mod path;
mod refs;
mod remote;
mod session;
mod transport;
mod trouble;
mod upstream;
mod versions;

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use package_broker_core::{
    domain::{metadata::PackageVersions, names::PackageName, repository::Repository},
    ports::source::{
        ArchiveSink, Known, Listing, PackageReader, Reading, Source, SourceError, Survey,
        WantedArchive,
    },
};

pub(super) use self::transport::KeyFolder;
use self::upstream::{Moment, State, Upstream};
use crate::source::http::Network;

/// A git repository as a source of one package.
pub struct GitSource(Arc<Upstream>);

impl GitSource {
    /// A source for `repository`, with its mirror below `git_dir`. Does no I/O.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] and [`SourceError::Forbidden`] for a URL or a path that cannot work.
    pub fn open(
        repository: &Repository,
        network: &Arc<Network>,
        git_dir: &Path,
    ) -> Result<Self, SourceError> {
        Upstream::open(repository, network, git_dir).map(|upstream| Self(Arc::new(upstream)))
    }
}

#[async_trait]
impl Source for GitSource {
    async fn survey(&self, previous: Option<&str>) -> Result<Survey, SourceError> {
        let previous: Option<State> = previous.and_then(|text| serde_json::from_str(text).ok());
        let upstream = Arc::clone(&self.0);
        let (moment, unchanged) = self
            .0
            .run("look at the refs", move |session| {
                upstream.look(previous.as_ref(), session)
            })
            .await?;
        Ok(Survey {
            listing: Listing::Names(vec![moment.state.name.clone()]),
            state: serde_json::to_string(&moment.state).ok(),
            unchanged,
            skipped: Vec::new(),
            revision: moment.revision(),
            reader: Arc::new(Reader {
                upstream: Arc::clone(&self.0),
                moment,
            }),
        })
    }

    async fn archive(
        &self,
        wanted: &WantedArchive,
        sink: &mut ArchiveSink,
    ) -> Result<(), SourceError> {
        archive::build(&self.0, wanted, sink).await
    }
}

/// Reads the versions of one moment.
struct Reader {
    upstream: Arc<Upstream>,
    moment: Moment,
}

#[async_trait]
impl PackageReader for Reader {
    async fn read(&self, name: &PackageName, known: &Known) -> Result<Reading, SourceError> {
        let State {
            validator,
            name: ours,
        } = &self.moment.state;
        if name != ours {
            return Ok(Reading::Absent);
        }
        if known.validator.as_ref() == Some(validator) {
            return Ok(Reading::Unchanged);
        }
        let before = match &known.validator {
            Some(known_as) if self.upstream.has_settings_of(known_as) => known.versions(name).await,
            Some(_) | None => PackageVersions::default(),
        };
        let (upstream, moment) = (Arc::clone(&self.upstream), self.moment.clone());
        self.upstream
            .run("read the versions", move |session| {
                upstream.read(&moment, &before, session)
            })
            .await
    }
}
