//! Commands that a person watches: started with a line that says why, ended with us.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use package_broker_e2e::process::{ChildGroup, Finished, describe, run, tethered};

use crate::workspace;

/// Longest time a command of a task may take: a first build on a slow machine.
const LIMIT: Duration = Duration::from_hours(2);

/// Says what is being done, a line a step.
pub(crate) fn step(what: impl AsRef<str>) {
    println!("==> {}", what.as_ref());
}

/// `cargo ARGUMENTS` in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = tethered(program);
    command.args(arguments).current_dir(workspace());
    // What `cargo run` says of this package. Build scripts that look at such variables would run again, and with them
    // half of the dependencies, whenever cargo is called with and without it in turn.
    for (name, _) in std::env::vars_os() {
        let inherited = name.to_str().is_some_and(|name| {
            name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
        });
        if inherited {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command whose output goes to the terminal; its failure is an error.
pub(crate) fn watch(mut command: Command) -> Result<()> {
    let line = describe(&command);
    command.stdin(Stdio::null());
    let status = ChildGroup::spawn(&line, command)?.wait(LIMIT)?;
    if status.success() {
        Ok(())
    } else {
        bail!("`{line}` ended with {status}")
    }
}

/// Runs a command silently; its failure is an error that tells all it said.
pub(crate) fn quiet(command: Command) -> Result<Finished> {
    run(command, LIMIT)?.success()
}

/// Runs a command silently, whatever comes of it.
pub(crate) fn attempt(command: Command) -> Result<Finished> {
    run(command, LIMIT)
}
