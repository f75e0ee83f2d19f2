//! The command line.

mod apply;
mod audit;
mod config;
mod keys;
mod migrate;
mod request_sync;
mod run;
mod serve;
mod server;
mod state;
mod status;
mod sync;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use package_broker_core::domain::names::RepositoryName;

/// A private Composer (PHP) package registry.
#[derive(Parser)]
#[command(name = "package-broker", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serves what manifests describe, from one process: no cluster, no database server.
    Run(run::Args),
    /// Declares what manifests say in a database that several processes share.
    Apply(apply::Args),
    /// Serves, as one of several processes, what is declared in their database.
    Serve(serve::Args),
    /// Syncs one repository that is declared in a shared database, and reports in one line of JSON.
    Sync(sync::Args),
    /// Asks the operator to sync one repository, as its annotation does; for processes that reach the database only.
    RequestSync(request_sync::Args),
    /// Makes the tables of a shared database, or brings them up to this release.
    Migrate(migrate::Args),
    /// Makes keys for the credentials of repositories, and changes which one encrypts them.
    Keys(keys::Args),
    /// Shows every setting of a process that shares its state with others: its value and where that came from.
    Config(config::Args),
    /// Shows repositories, packages, and what was left out and why.
    Status(status::Args),
    /// Prints the audit log: who read and changed what, a JSON object a line.
    Audit(audit::Args),
}

/// Runs the command; its error is printed and becomes exit code 1.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = |result: anyhow::Result<()>| result.map(|()| ExitCode::SUCCESS);
    let result = match cli.command {
        Command::Run(args) => done(run::main(args)),
        Command::Apply(args) => done(apply::main(&args)),
        Command::Serve(args) => done(serve::main(&args)),
        Command::Sync(args) => sync::main(&args),
        Command::RequestSync(args) => done(request_sync::main(&args)),
        Command::Migrate(args) => done(migrate::main(&args)),
        Command::Keys(args) => done(keys::main(&args)),
        Command::Config(args) => done(config::main(&args)),
        Command::Status(args) => done(status::main(&args)),
        Command::Audit(args) => done(audit::main(args)),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// The runtime of a command. Two worker threads at least, so that one long task never stops the others.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let workers = std::thread::available_parallelism()
        .map_or(2, usize::from)
        .max(2);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(workers)
        .enable_all()
        .build()
}

/// That there is no such repository, with those that there are.
fn not_declared<'a>(name: &str, declared: impl Iterator<Item = &'a RepositoryName>) -> String {
    let names: Vec<&str> = declared.map(RepositoryName::as_str).collect();
    format!(
        "no repository \"{name}\" is declared; there are: {}",
        names.join(", ")
    )
}

/// Columns as wide as their widest cell, three blanks apart.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..N)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("   ").trim_end());
        text.push('\n');
    }
    text
}
