//! `package-broker keys`: the keys that credentials of repositories are encrypted with.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::{Parser, Subcommand};
use package_broker_core::{
    domain::{
        audit::{Action, Actor, Event, Outcome},
        keyring::KeyRing,
        names::RepositoryName,
    },
    services::declared::{KeyUse, Rotation},
};
use secrecy::{ExposeSecret, SecretString};

use super::config::SettingsArgs;
use crate::{logging, replica::Replica, settings::Process};

/// Options of `keys`.
#[derive(Parser)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Makes a key ring, or puts a new key in front of those of a key ring. The first key encrypts, all of them decrypt.
    Generate(Generate),
    /// Encrypts all stored credentials with the first key of the ring, while processes serve. May be interrupted and
    /// started again.
    Rotate(Rotate),
}

#[derive(Parser)]
struct Generate {
    /// The file with the key ring, made if it is not there. Without it, a new key ring goes to standard output.
    #[arg(long)]
    file: Option<PathBuf>,
}

#[derive(Parser)]
struct Rotate {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs one of the commands.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    match &args.command {
        Command::Generate(Generate { file: None }) => {
            let text = KeyRing::generate()?.to_text();
            std::io::stdout()
                .write_all(text.expose_secret().as_bytes())
                .context("standard output was closed")
        }
        Command::Generate(Generate { file: Some(file) }) => generate(file),
        Command::Rotate(rotate) => {
            let settings = rotate.settings.load()?.process;
            let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
            super::runtime()?.block_on(rotate_all(&settings))
        }
    }
}

fn generate(file: &Path) -> anyhow::Result<()> {
    let ring = match fs::read_to_string(file) {
        Ok(text) => KeyRing::parse(&text)
            .with_context(|| format!("{} is no key ring", file.display()))?
            .with_new_primary()?,
        Err(error) if error.kind() == ErrorKind::NotFound => KeyRing::generate()?,
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", file.display()));
        }
    };
    write(file, &ring.to_text())
        .with_context(|| format!("{} cannot be written", file.display()))?;
    println!("{}", ring.primary());
    Ok(())
}

/// Replaces a file whole, readable for this user alone.
fn write(file: &Path, text: &SecretString) -> std::io::Result<()> {
    let mut new = file.as_os_str().to_owned();
    new.push(".new");
    let mut opened = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)?;
    opened.write_all(text.expose_secret().as_bytes())?;
    opened.sync_all()?;
    fs::rename(&new, file)
}

async fn rotate_all(settings: &Process) -> anyhow::Result<()> {
    let replica = Replica::open(settings).await?;
    let rotated = rotate_of(&replica).await;
    replica.engine.close().await;
    let rotation = rotated?;
    for problem in &rotation.problems {
        tracing::error!(error = %problem, "credentials stay as they are");
    }
    let (resealed, standing, left) = (rotation.resealed, rotation.standing, rotation.left);
    tracing::info!(resealed, standing, left, "rotated");
    let uses = replica.declared.keys_in_use().await?;
    let header = ["KEY", "ROWS", "STATE"].map(str::to_owned);
    let rows = uses.iter().map(|key| {
        [
            key.key.to_string(),
            key.rows.to_string(),
            state(key).to_owned(),
        ]
    });
    let table = super::aligned(&std::iter::once(header).chain(rows).collect::<Vec<_>>());
    std::io::stdout()
        .write_all(table.as_bytes())
        .context("standard output was closed")?;
    anyhow::ensure!(
        rotation.problems.is_empty() && left == 0,
        "not all credentials are encrypted with the first key; run it again once the cause is mended"
    );
    Ok(())
}

/// Each row that is done is recorded, and each that could not be, as the audit policy says that is declared.
async fn rotate_of(replica: &Replica) -> anyhow::Result<Rotation> {
    if let Err(error) = replica.adopt().await {
        // Without a policy nothing is recorded; the keys are no less to be changed for that.
        tracing::warn!(error = format!("{error:#}"), "the rotation is not recorded");
    }
    let audit = &replica.engine.app.broker.audit;
    let note = |repository: &RepositoryName, outcome| {
        audit.note(&Event {
            subject: Some(repository.as_str()),
            outcome,
            ..Event::new(Actor::Broker, Action::CredentialsResealed)
        });
    };
    let resealed = |repository: &RepositoryName| note(repository, Outcome::Ok);
    let rotation = replica.declared.rotate(resealed).await?;
    for problem in &rotation.problems {
        note(&problem.name, Outcome::Failed);
    }
    Ok(rotation)
}

fn state(key: &KeyUse) -> &'static str {
    if key.primary {
        "encrypts"
    } else if !key.held {
        "missing: put it back into the ring, or declare the credentials again"
    } else if key.may_be_dropped() {
        "may be dropped"
    } else {
        "in use"
    }
}
