//! The drivers put together. Which drivers serve is named here and nowhere else.

pub(crate) mod embedded;
pub(crate) mod shared;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use package_broker_core::{
    domain::repository::Repository,
    ports::source::{Source, SourceError, Sources},
};
use package_broker_drivers::source::SourceFactory;

/// Mirrors of git repositories: may be deleted, are fetched again.
pub(crate) fn git_folder(data: &Path) -> PathBuf {
    data.join("git")
}

/// Sources under settings that a change of manifests replaces.
pub(crate) struct ReplaceableSources(ArcSwap<SourceFactory>);

impl ReplaceableSources {
    /// Sources under these settings.
    pub(crate) fn new(factory: SourceFactory) -> Self {
        Self(ArcSwap::from_pointee(factory))
    }

    /// From now on, sources are opened under these settings.
    pub(crate) fn replace(&self, factory: SourceFactory) {
        self.0.store(Arc::new(factory));
    }
}

impl Sources for ReplaceableSources {
    fn open(&self, repository: &Repository) -> Result<Arc<dyn Source>, SourceError> {
        self.0.load().open(repository)
    }
}

/// Makes a folder with mode 0700.
pub(crate) fn make_private_folder(folder: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| {
            format!(
                "the folder {} cannot be made; choose another with --data",
                folder.display()
            )
        })
}
