//! `cargo xtask crds`: the YAML of the custom resource definitions, from the Rust types.

use anyhow::Result;

use crate::process::{cargo, step, watch};

/// Writes `crds/yaml/`; with `check`, only says whether it is current.
pub(crate) fn crds(check: bool) -> Result<()> {
    step(if check {
        "checking crds/yaml"
    } else {
        "writing crds/yaml"
    });
    let mut command = cargo(&[
        "run",
        "--quiet",
        "--package",
        "package-broker-crds",
        "--bin",
        "crdgen",
    ]);
    if check {
        command.args(["--", "--check"]);
    }
    watch(command)
}
