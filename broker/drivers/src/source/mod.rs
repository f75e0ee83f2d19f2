//! Where packages come from: one way each to read a Composer repository, a git repository, a folder
//! or bucket of archives.
//!
//! Everything that leaves the process passes [`egress`]; everything over HTTP passes [`http`].

pub mod artifact;
pub mod composer;
pub mod egress;
pub mod git;
pub mod http;
mod progress;

use std::{path::PathBuf, sync::Arc, time::Duration};

use package_broker_core::{
    domain::repository::{Repository, SourceKind},
    ports::source::{Source, SourceError, Sources},
};

use self::{
    artifact::ArtifactSource,
    composer::ComposerSource,
    egress::EgressPolicy,
    git::{GitSource, KeyFolder},
    http::Network,
};

/// Bounds on what sources are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceLimits {
    /// The most bytes of one metadata document, after decoding: `PackageBroker spec.limits.maxMetadataSize`.
    pub max_metadata_size: u64,
    /// The most requests at once to one host, over all repositories: `PackageBroker spec.sync.perHost`. Downloads of
    /// archives are counted apart, up to the same number.
    pub per_host: usize,
    /// The longest a connection may take to be made, name look-up and TLS included.
    pub connect_timeout: Duration,
    /// The longest a server may be silent, before its answer and within it.
    pub idle_timeout: Duration,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            max_metadata_size: 128 << 20,
            per_host: 8,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
        }
    }
}

/// Opens the sources of an installation. They share connections and the politeness towards each host.
pub struct SourceFactory {
    network: Arc<Network>,
    git_dir: PathBuf,
    /// Sources have it as well; here it is swept at the start, and stays claimed.
    _keys: Arc<KeyFolder>,
}

impl SourceFactory {
    /// A factory for one installation. `git_dir` is a cache for mirrors of git repositories: it may be lost. Private
    /// keys that a killed process left there are removed.
    pub fn new(policy: Arc<EgressPolicy>, limits: SourceLimits, git_dir: PathBuf) -> Self {
        Self {
            network: Arc::new(Network::new(policy, limits)),
            _keys: KeyFolder::of(&git_dir),
            git_dir,
        }
    }
}

impl Sources for SourceFactory {
    fn open(&self, repository: &Repository) -> Result<Arc<dyn Source>, SourceError> {
        Ok(match repository.kind {
            SourceKind::Composer => Arc::new(ComposerSource::open(repository, &self.network)?),
            SourceKind::Git | SourceKind::GitHub | SourceKind::GitLab | SourceKind::Bitbucket => {
                Arc::new(GitSource::open(repository, &self.network, &self.git_dir)?)
            }
            // Objects of buckets are looked into where mirrors are: that is the cache.
            SourceKind::Artifact => Arc::new(ArtifactSource::open(
                repository,
                &self.network,
                &self.git_dir,
            )?),
        })
    }
}
