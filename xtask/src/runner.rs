//! How cargo runs test programs: each with as many tests at once as suits it.

use std::{ffi::OsString, os::unix::process::CommandExt as _, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::images::host;

/// Suites whose tests wait for a cluster most of the time, and how many of them run at once. All others run as many as there
/// are processors.
const WAITING: [(&str, &str); 1] = [("operator", "4")];
/// What the test runner takes that number from.
const AT_ONCE: &str = "RUST_TEST_THREADS";

/// The variable that has cargo run test programs by way of us.
///
/// # Errors
/// If our own path cannot be told.
pub(crate) fn environment() -> Result<(OsString, OsString)> {
    let host = host()?.to_uppercase().replace('-', "_");
    let mut runner = std::env::current_exe()?.into_os_string();
    runner.push(" run-tests");
    Ok((format!("CARGO_TARGET_{host}_RUNNER").into(), runner))
}

/// Runs a test program in our place.
///
/// # Errors
/// If it cannot be started: if it can, this does not return.
pub(crate) fn run(program: &[OsString]) -> Result<()> {
    let (program, arguments) = program.split_first().context("no program")?;
    let mut tests = Command::new(program);
    tests.args(arguments);
    if let Some(number) = at_once(Path::new(program))
        && std::env::var_os(AT_ONCE).is_none()
    {
        tests.env(AT_ONCE, number);
    }
    Err(tests.exec()).with_context(|| program.display().to_string())
}

/// How many tests of a program run at once, if that is for us to say: cargo ends its name in a digest.
fn at_once(program: &Path) -> Option<&'static str> {
    let (suite, _) = program.file_name()?.to_str()?.rsplit_once('-')?;
    let known = WAITING.iter().find(|(name, _)| *name == suite);
    known.map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_that_wait_are_known_by_their_name() {
        for (program, expected) in [
            ("/target/debug/deps/operator-27151d0cc66c4d76", Some("4")),
            ("/target/debug/deps/cluster-27151d0cc66c4d76", None),
            (
                "/target/debug/deps/package_broker_operator-27151d0cc66c4d76",
                None,
            ),
            ("/target/debug/package-broker-operator", None),
        ] {
            assert_eq!(at_once(Path::new(program)), expected, "{program}");
        }
    }
}
