//! `package-broker request-sync REPOSITORY`: asks whoever decides when syncs are, an operator for instance, for one.

use anyhow::bail;
use clap::Parser;
use package_broker_core::{
    domain::names::RepositoryName,
    ports::{database::SyncRequestStore, declared::DeclaredStore},
};
use package_broker_drivers::database::postgres::Postgres;

use super::config::SettingsArgs;
use crate::{drivers::shared, settings::Process};

/// Options of `request-sync`.
#[derive(Parser)]
pub(super) struct Args {
    /// The name of the Repository.
    repository: String,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Records the request.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings.load()?.process;
    super::runtime()?.block_on(request(&settings, &args.repository))
}

async fn request(settings: &Process, name: &str) -> anyhow::Result<()> {
    let database = Postgres::open(&shared::database(&settings.database)?).await?;
    let declared = database.declared().await?;
    if !declared.iter().any(|known| known.name.as_str() == name) {
        bail!(
            "{}",
            super::not_declared(name, declared.iter().map(|known| &known.name))
        );
    }
    database.request_sync(&RepositoryName::new(name)).await?;
    database.close().await;
    Ok(())
}
