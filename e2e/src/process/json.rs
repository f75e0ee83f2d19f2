//! Programs that go on writing JSON, such as `kubectl get --watch`.

use std::{
    io::BufReader,
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::ChildGroup;

/// Starts a program, and gives it with the values that it writes, each as it comes. They end when it does, in the middle of
/// one perhaps, which is an error.
///
/// # Errors
/// If it cannot be started.
pub fn values_of(
    name: &str,
    mut command: Command,
) -> Result<(
    ChildGroup,
    impl Iterator<Item = serde_json::Result<Value>> + Send + 'static,
)> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut program = ChildGroup::spawn(name, command)?;
    let said = program.child_mut().stdout.take().context("no output")?;
    let values = serde_json::Deserializer::from_reader(BufReader::new(said)).into_iter();
    Ok((program, values))
}
