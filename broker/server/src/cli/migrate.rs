//! `package-broker migrate`: brings the database up to this release.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use package_broker_drivers::database::postgres::Postgres;
use serde::Serialize;

use super::config::SettingsArgs;
use crate::{checks::Part, drivers::shared, logging, replica, settings::Process};

/// Options of `migrate`.
#[derive(Parser)]
#[command(
    after_help = "The report is JSON: database, storage, cache and encryption, each with the error if there is one."
)]
pub(super) struct Args {
    /// Also asks the bucket and Redis, and reads the keys: whether a process with these settings could serve.
    #[arg(long)]
    check: bool,
    /// A file that a report is written to, for instance /dev/termination-log.
    #[arg(long, requires = "check")]
    report: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What became of each part.
#[derive(Debug, Serialize)]
struct Report {
    database: Part,
    storage: Part,
    cache: Part,
    encryption: Part,
}

/// Makes or changes the tables. Safe while processes of the release before serve, and when several migrate at once.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings.load()?.process;
    let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
    let runtime = super::runtime()?;
    if !args.check {
        return runtime.block_on(migrate(&settings));
    }
    let report = runtime.block_on(check(&settings));
    let line = serde_json::to_string(&report)? + "\n";
    if let Some(file) = &args.report {
        std::fs::write(file, &line)
            .with_context(|| format!("the report cannot be written to {}", file.display()))?;
    }
    let parts = [
        &report.database,
        &report.storage,
        &report.cache,
        &report.encryption,
    ];
    let errors: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.error.as_deref())
        .collect();
    if !errors.is_empty() {
        bail!("{}", errors.join("; "));
    }
    Ok(())
}

async fn migrate(settings: &Process) -> anyhow::Result<()> {
    let options = shared::database(&settings.database)?;
    let version = Postgres::migrate(&options).await?;
    tracing::info!(
        database = options.place(),
        version,
        "the database is up to this release"
    );
    Ok(())
}

/// Each part for itself: whoever set several wrong learns of all at once.
async fn check(settings: &Process) -> Report {
    let (database, storage, cache) = tokio::join!(
        migrate(settings),
        shared::check_storage(settings),
        shared::check_cache(settings)
    );
    Report {
        database: Part::of(database),
        storage: Part::of(storage),
        cache: Part::of(cache),
        encryption: Part::of(replica::keys(settings)),
    }
}
