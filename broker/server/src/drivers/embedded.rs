//! The embedded drivers over a data folder.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use package_broker_core::broker::Ports;
use package_broker_drivers::{
    cache::memory::Memory, database::sqlite::Sqlite, storage::filesystem::Filesystem,
};

use super::{ReplaceableSources, make_private_folder};

/// Memory for counters, in bytes.
const COUNTERS: usize = 4 << 20;

/// The state of an installation.
pub(crate) fn database_file(data: &Path) -> PathBuf {
    data.join("state.db")
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
