//! The command line.

mod run;
mod status;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Shows repositories, packages, and what was left out and why.
    Status(status::Args),
}

/// Runs the command; its error is printed and becomes exit code 1.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match cli.command {
        Command::Run(args) => run::main(args),
        Command::Status(args) => status::main(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
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
