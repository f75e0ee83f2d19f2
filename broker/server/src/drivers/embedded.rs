//! The embedded drivers put together over a data folder. Which drivers serve is named here and nowhere else.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context;
use arc_swap::ArcSwap;
use package_broker_core::{
    broker::Ports,
    domain::repository::Repository,
    ports::source::{Source, SourceError, Sources},
};
use package_broker_drivers::{
    cache::memory::Memory, database::sqlite::Sqlite, source::SourceFactory,
    storage::filesystem::Filesystem,
};

/// Memory for counters, in bytes.
const COUNTERS: usize = 4 << 20;

/// The state of an installation.
pub(crate) fn database_file(data: &Path) -> PathBuf {
    data.join("state.db")
}

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

/// Opens the drivers, making the folder if it is not there. The folder is for this user alone: it holds tokens.
pub(crate) async fn open(data: &Path, sources: Arc<ReplaceableSources>) -> anyhow::Result<Ports> {
    make_private_folder(data)?;
    // Takes the lock on the folder, so that no second process comes this far.
    let storage = Filesystem::open(&data.join("storage")).await?;
    let database = Sqlite::open(&database_file(data)).await?;
    Ok(Ports {
        database: Arc::new(database),
        storage: Arc::new(storage),
        cache: Arc::new(Memory::new(COUNTERS)),
        sources,
    })
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
