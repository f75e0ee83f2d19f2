//! The one front door of this repository: `cargo xtask demo | test | lint | crds | docs | bench |
//! cluster | e2e | images`.
//!
//! Each command says what it does while it does it, keeps what it downloads in a cache outside
//! the repository, and ends every process it started, also on failure and on Ctrl-C.

mod bench;
mod chart;
mod cluster;
mod crds;
mod demo;
mod docs;
mod e2e;
mod images;
mod lint;
mod process;
mod reproduce;
mod runner;
mod sbom;
mod setup;
mod test;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tasks of the Package Broker repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Install packages with Composer from git, Composer and artifact sources, on this machine
    Demo,
    /// Get what the tests need, then run them all
    Test {
        /// Only get what the tests need, to run single ones with `cargo test` afterwards
        #[arg(long)]
        setup_only: bool,
        /// Passed on to `cargo test --workspace`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Compare the broker with nginx, with Composer and with bare fetches, side by side
    Bench(bench::Options),
    /// A whole Kubernetes on this machine, to try it all on
    Cluster(cluster::Options),
    /// Write the images that people run into target/images, with a list of what is in each
    Images(images::Options),
    /// Run the suites that need a cluster, on one of our own or on yours
    E2e(e2e::Options),
    /// Write the parts of docs/ and of the charts that are generated
    Docs,
    /// Format check, clippy, generated files, dependency policy
    Lint,
    /// Write the CRD YAML from the Rust types
    Crds {
        /// Only check that the committed YAML is current
        #[arg(long)]
        check: bool,
    },
    /// Run a test program, as cargo has it run
    #[command(hide = true)]
    RunTests {
        /// The program and its arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        program: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let task = Arguments::parse().task;
    let ends_children = match &task {
        Task::Cluster(options) => options.ends_children(),
        // Another program takes our place.
        Task::RunTests { .. } => true,
        _ => false,
    };
    let signals = if ends_children {
        Ok(())
    } else {
        package_broker_e2e::process::end_children_on_signals()
    };
    let result = signals.and_then(|()| match task {
        Task::Demo => demo::demo(),
        Task::Test {
            setup_only: true, ..
        } => test::set_up(),
        Task::Test { arguments, .. } => test::test(&arguments),
        Task::Bench(options) => bench::bench(&options),
        Task::Cluster(options) => cluster::cluster(&options),
        Task::Images(options) => images::release(&options),
        Task::E2e(options) => e2e::e2e(&options),
        Task::Docs => chart::chart(false).and_then(|()| docs::docs()),
        Task::Lint => lint::lint(),
        Task::Crds { check } => crds::crds(check),
        Task::RunTests { program } => runner::run(&program),
    });
    if package_broker_e2e::process::interrupted() {
        eprintln!("stopped; every process that was started has ended");
        return ExitCode::from(130);
    }
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the workspace.
fn workspace() -> PathBuf {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask).to_owned()
}
