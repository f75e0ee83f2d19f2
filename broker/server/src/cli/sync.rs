//! `package-broker sync REPOSITORY`: one sync, as a Job does it.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context, bail};
use clap::Parser;
use package_broker_core::{
    domain::{names::RepositoryName, repository::Repository},
    sync::{SyncError, SyncReport},
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{config::SettingsArgs, server::Signals};
use crate::{logging, replica::Replica, settings::Process, traces};

/// The exit code when another process is syncing the same repository (`EX_TEMPFAIL` of sysexits.h).
const ELSEWHERE: u8 = 75;

/// Options of `sync`.
#[derive(Parser)]
#[command(
    after_help = "The last line on standard output is JSON: repository, result (succeeded, failed, elsewhere), read, changed, \
                        removed, seconds and error. Exit code 0: succeeded; 1: failed; 75: another process is syncing it."
)]
pub(super) struct Args {
    /// The name of the Repository.
    repository: String,
    /// A file that the JSON line is also written to, for instance /dev/termination-log.
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// What became of a sync.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Succeeded,
    Failed,
    /// Another process is at it.
    Elsewhere,
}

/// The JSON line.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    repository: &'a str,
    result: Outcome,
    /// Packages read from the source.
    read: usize,
    /// Packages that are new, or other than before.
    changed: usize,
    /// Packages that are no longer there.
    removed: usize,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Syncs once.
pub(super) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load()?.process;
    let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
    let began = Instant::now();
    let runtime = super::runtime()?;
    let result = runtime.block_on(
        sync(&settings, &args.repository).instrument(traces::of_command("package-broker sync")),
    );
    let report = report(&args.repository, &result, began.elapsed().as_secs_f64());
    let line = serde_json::to_string(&report)? + "\n";
    std::io::stdout()
        .write_all(line.as_bytes())
        .context("standard output was closed")?;
    if let Some(file) = &args.report {
        std::fs::write(file, &line)
            .with_context(|| format!("the report cannot be written to {}", file.display()))?;
    }
    Ok(match report.result {
        Outcome::Succeeded => ExitCode::SUCCESS,
        Outcome::Failed => ExitCode::FAILURE,
        Outcome::Elsewhere => ExitCode::from(ELSEWHERE),
    })
}

fn report<'a>(
    repository: &'a str,
    result: &anyhow::Result<SyncReport>,
    seconds: f64,
) -> Report<'a> {
    let elsewhere =
        |error: &anyhow::Error| matches!(error.downcast_ref(), Some(SyncError::Elsewhere));
    let outcome = match result {
        Ok(_) => Outcome::Succeeded,
        Err(error) if elsewhere(error) => Outcome::Elsewhere,
        Err(_) => Outcome::Failed,
    };
    let counts = result.as_ref().cloned().unwrap_or_default();
    Report {
        repository,
        result: outcome,
        read: counts.read,
        changed: counts.changed,
        removed: counts.removed,
        seconds,
        error: result.as_ref().err().map(|error| format!("{error:#}")),
    }
}

async fn sync(settings: &Process, name: &str) -> anyhow::Result<SyncReport> {
    let mut signals = Signals::new()?;
    let replica = Replica::open(settings).await?;
    let repository = find(&replica, name).await?;
    let broker = &replica.engine.app.broker;
    broker.follower.look().await?;
    let stop = CancellationToken::new();
    let syncing = async {
        let result = broker.syncs.sync(&repository).await;
        stop.cancel();
        result
    };
    // What is declared may change meanwhile, and packages of other repositories do.
    let work = async { tokio::join!(syncing, replica.follow(stop.clone())).0 };
    let result = tokio::select! {
        result = work => Some(result),
        () = signals.next() => None,
    };
    replica.engine.close().await;
    match result {
        Some(result) => Ok(result?),
        None => bail!("told to end; what was stored stands, and the next sync goes on from there"),
    }
}

async fn find(replica: &Replica, name: &str) -> anyhow::Result<Arc<Repository>> {
    let installation = replica.adopt().await?;
    if let Some(repository) = installation.repository(&RepositoryName::new(name)) {
        return Ok(Arc::clone(repository));
    }
    let names: Vec<&str> = installation
        .repositories()
        .iter()
        .map(|repository| repository.name.as_str())
        .collect();
    bail!(
        "no repository \"{name}\" is declared; there are: {}",
        names.join(", ")
    )
}
