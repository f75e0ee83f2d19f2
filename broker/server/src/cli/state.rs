//! Where the state is that a command looks at.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use clap::Parser;
use package_broker_core::ports::database::Database;
use package_broker_drivers::database::{postgres::Postgres, sqlite::Sqlite};

use super::config::SettingsArgs;
use crate::drivers::{embedded, shared};

/// Either a data folder of `run`, or the database that settings name.
#[derive(Clone, Debug, Parser)]
pub(super) struct StateArgs {
    /// The data folder that `run` was given. Without it, the database in the settings is looked at if they name one,
    /// else `$PACKAGE_BROKER_DATA` or ./data.
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl StateArgs {
    /// Opens the database, which has to be there.
    pub(super) async fn open(&self) -> anyhow::Result<Arc<dyn Database>> {
        if self.data.is_none() && self.settings.are_given() {
            let settings = self.settings.load()?.process;
            let options = shared::database(&settings.database)?;
            return Ok(Arc::new(Postgres::open(&options).await?));
        }
        let data = self.data.clone().or_else(|| {
            let data = std::env::var_os("PACKAGE_BROKER_DATA")?;
            Some(PathBuf::from(data))
        });
        let data = data.unwrap_or_else(|| PathBuf::from("./data"));
        let file = embedded::database_file(&data);
        anyhow::ensure!(
            file.is_file(),
            "{} is no data folder: there is no state.db in it; name the one that `run` was given with --data",
            data.display()
        );
        let database = Sqlite::open_existing(&file).await;
        let database = database.with_context(|| format!("the state in {}", data.display()))?;
        Ok(Arc::new(database))
    }
}
