//! `package-broker apply`: manifests in, declared state out, for all processes on the database.

use std::path::PathBuf;

use clap::Parser;

use super::config::SettingsArgs;
use crate::{
    logging,
    manifests::{self, Desired, without_effect},
    replica::Replica,
    settings::Process,
};

/// Options of `apply`.
#[derive(Parser)]
pub(super) struct Args {
    /// A manifest, or a folder of manifests: `PackageBroker`, `Repository`, `AccessToken` and `Secret` documents.
    /// May be given several times. What is declared already and not in them is removed.
    #[arg(short, long = "file", required = true)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Declares what the manifests say.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings.load()?.process;
    let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
    let manifests = manifests::load(&args.file)?;
    let desired = manifests::resolve(&manifests)?;
    without_effect::tell_where_syncs_are_called(&desired);
    super::runtime()?.block_on(apply(&settings, &desired))
}

async fn apply(settings: &Process, desired: &Desired) -> anyhow::Result<()> {
    let replica = Replica::open(settings).await?;
    replica.engine.app.broker.follower.look().await?;
    let declared = replica.declare(desired).await;
    replica.engine.close().await;
    let declared = declared?;
    let (repositories, tokens) = (desired.repositories.len(), desired.tokens.len());
    let (changed, removed) = (declared.changed, declared.removed);
    tracing::info!(repositories, changed, removed, tokens, "declared");
    Ok(())
}
