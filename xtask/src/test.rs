//! `cargo xtask test`: set-up, then every test of the workspace.

use anyhow::Result;

use crate::e2e::Cluster;
use crate::process::step;
use crate::setup;

/// Gets what the tests need: Debian packages, Composer versions, real PHP packages, an S3 server.
pub(crate) fn set_up() -> Result<()> {
    setup::packages::ensure(setup::packages::FOR_TESTS)?;
    setup::composer::ensure()?;
    setup::debian_sources::ensure()?;
    setup::tools::other_servers()?;
    setup::tools::garage()?;
    Ok(())
}

/// Gets what the tests need, brings up a cluster, then runs `cargo test --workspace ARGUMENTS`. The
/// last lines on the terminal are the test runner's own.
pub(crate) fn test(arguments: &[String]) -> Result<()> {
    set_up()?;
    let cluster = Cluster::ours(false)?;
    step("running every test of the workspace");
    let mut all = vec!["test", "--workspace"];
    all.extend(arguments.iter().map(String::as_str));
    cluster.run(&all)
}
