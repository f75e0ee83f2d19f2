//! `package-broker sync REPOSITORY`: one sync, as a Job does it.

use std::{io::Write, path::PathBuf, process::ExitCode, sync::Arc, time::Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use jiff::Timestamp;
use package_broker_core::{
    domain::{names::RepositoryName, repository::Repository},
    services::status::status,
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
    after_help = "The last line on standard output is JSON: repository, result (succeeded, failed, elsewhere), started, seconds, \
                        read, changed, removed, packages, versions, skipped, revision of a git repository, error, lasting if only a change can help, and retryAfter in seconds. Exit code 0: succeeded; 1: failed; 75: another process is syncing it."
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
    started: Timestamp,
    seconds: f64,
    /// Packages read from the source.
    read: usize,
    /// Packages that are new, or other than before.
    changed: usize,
    /// Packages that are no longer there.
    removed: usize,
    /// What the source was, in its own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    /// What the repository has now.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    held: Option<Held>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether only a change of the settings can help.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lasting: bool,
    /// How long the source wants to be left alone, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// What a repository has.
#[derive(Clone, Copy, Debug, Serialize)]
struct Held {
    packages: usize,
    versions: u64,
    /// Versions and refs that were left out.
    skipped: usize,
}

/// Syncs once.
pub(super) fn main(args: &Args) -> anyhow::Result<ExitCode> {
    let settings = args.settings.load()?.process;
    let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
    let (started, began) = (Timestamp::now(), Instant::now());
    let runtime = super::runtime()?;
    let (result, held) = runtime.block_on(
        sync(&settings, &args.repository).instrument(traces::of_command("package-broker sync")),
    );
    let seconds = began.elapsed().as_secs_f64();
    let report = report(&args.repository, (&result, held), (started, seconds));
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
    (result, held): (&anyhow::Result<SyncReport>, Option<Held>),
    (started, seconds): (Timestamp, f64),
) -> Report<'a> {
    let elsewhere =
        |error: &anyhow::Error| matches!(error.downcast_ref(), Some(SyncError::Elsewhere));
    let outcome = match result {
        Ok(_) => Outcome::Succeeded,
        Err(error) if elsewhere(error) => Outcome::Elsewhere,
        Err(_) => Outcome::Failed,
    };
    let counts = result.as_ref().cloned().unwrap_or_default();
    let why: Option<&SyncError> = result.as_ref().err().and_then(|error| error.downcast_ref());
    Report {
        repository,
        result: outcome,
        read: counts.read,
        changed: counts.changed,
        removed: counts.removed,
        revision: counts.revision,
        error: result.as_ref().err().map(|error| format!("{error:#}")),
        lasting: why.is_some_and(SyncError::is_lasting),
        retry_after: why
            .and_then(SyncError::retry_after)
            .map(|time| time.as_secs()),
        started,
        seconds,
        held,
    }
}

/// The sync, and what the repository has after it.
async fn sync(settings: &Process, name: &str) -> (anyhow::Result<SyncReport>, Option<Held>) {
    let replica = match Replica::open(settings).await {
        Ok(replica) => replica,
        Err(error) => return (Err(error), None),
    };
    let result = sync_with(&replica, name).await;
    replica.engine.close().await;
    let held = held(&replica, name).await;
    (result, held)
}

async fn held(replica: &Replica, name: &str) -> Option<Held> {
    let database = &replica.engine.app.broker.database;
    let status = status(&**database).await.ok()?;
    let repository = status
        .repositories
        .into_iter()
        .find(|repository| repository.name == name)?;
    Some(Held {
        packages: repository.packages,
        versions: repository.versions,
        skipped: repository.skipped.len(),
    })
}

async fn sync_with(replica: &Replica, name: &str) -> anyhow::Result<SyncReport> {
    let mut signals = Signals::new()?;
    let repository = find(replica, name).await?;
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
    match result {
        Some(result) => Ok(result?),
        None => bail!("told to end; what was stored stands, and the next sync goes on from there"),
    }
}

async fn find(replica: &Replica, name: &str) -> anyhow::Result<Arc<Repository>> {
    let installation = replica.adopt().await?;
    if let Some(repository) = installation.repository(&RepositoryName::new(name)) {
        ensure!(
            !repository.suspended,
            "{name} is suspended and not read: take spec.suspend away from its Repository first"
        );
        return Ok(Arc::clone(repository));
    }
    let declared = installation.repositories().iter();
    bail!(
        "{}",
        super::not_declared(name, declared.map(|repository| &repository.name))
    )
}
