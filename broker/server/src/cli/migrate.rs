//! `package-broker migrate`: brings the database up to this release.

use clap::Parser;
use package_broker_drivers::database::postgres::Postgres;

use super::config::SettingsArgs;
use crate::{drivers::shared, logging};

/// Options of `migrate`.
#[derive(Parser)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Makes or changes the tables. Safe while processes of the release before serve, and when several migrate at once.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings.load()?.process;
    let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
    let options = shared::database(&settings.database)?;
    let version = super::runtime()?.block_on(Postgres::migrate(&options))?;
    tracing::info!(
        database = options.place(),
        version,
        "the database is up to this release"
    );
    Ok(())
}
