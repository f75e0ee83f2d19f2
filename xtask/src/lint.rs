//! `cargo xtask lint`: everything a reviewer should not have to look for.

use anyhow::Result;

use crate::process::{attempt, cargo, step, watch};
use crate::{crds, setup};

/// Format check, clippy with warnings as errors, current CRD YAML, `deny.toml`.
pub(crate) fn lint() -> Result<()> {
    step("checking the format");
    watch(cargo(&["fmt", "--all", "--check"]))?;
    step("running clippy");
    watch(cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ]))?;
    crds::crds(true)?;
    dependencies()
}

fn dependencies() -> Result<()> {
    let program = setup::tools::cargo_deny()?;
    let deny = |arguments: &[&str]| {
        let mut command = cargo(&["deny"]);
        command
            .args(arguments)
            .env("PATH", setup::tools::path_with(&program));
        command
    };
    step("checking licenses, bans and sources of the dependencies");
    watch(deny(&[
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;
    step("checking security advisories on the dependencies");
    if attempt(deny(&["fetch", "db"]))?.status.success() {
        watch(deny(&["check", "--disable-fetch", "advisories"]))
    } else {
        println!("    NOT CHECKED: the advisory database cannot be reached from here");
        Ok(())
    }
}
