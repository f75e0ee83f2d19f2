//! `cargo xtask test`: set-up, then every test of the workspace.

use anyhow::Result;

use crate::process::{cargo, step, watch};
use crate::setup;

/// Gets what the tests need: Debian packages, Composer versions, real PHP packages, an S3 server.
pub(crate) fn set_up() -> Result<()> {
    setup::packages::ensure(setup::packages::FOR_TESTS)?;
    setup::composer::ensure()?;
    setup::debian_sources::ensure()?;
    setup::tools::garage()?;
    Ok(())
}

/// Gets what the tests need, then runs `cargo test --workspace ARGUMENTS`. The last lines on
/// the terminal are the test runner's own.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    set_up()?;
    step("building package-broker, which the end-to-end tests run");
    watch(cargo(&["build", "--package", "package-broker"]))?;
    step("running every test of the workspace");
    let mut command = cargo(&["test", "--workspace"]);
    command.args(arguments);
    watch(command)
}
