//! `cargo xtask docs`: the parts of the documentation that are taken from the program.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::process::{cargo, step};
use crate::workspace;

const BEGIN: &str = "<!-- settings -->\n";
const END: &str = "<!-- /settings -->";

/// Writes the table of settings into `docs/configuration.md`. A test of the program keeps it current.
pub(crate) fn docs() -> Result<()> {
    step("writing docs/configuration.md");
    let mut command = cargo(&["run", "--quiet", "--package", "package-broker", "--"]);
    let output = command.args(["config", "--reference"]).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "no table of settings: {said}");
    let table = String::from_utf8(output.stdout)?;
    let file = workspace().join("docs/configuration.md");
    let text = fs::read_to_string(&file)?;
    let (before, rest) = text.split_once(BEGIN).context("no place for the table")?;
    let (_, after) = rest.split_once(END).context("no end of the table")?;
    Ok(fs::write(
        file,
        [before, BEGIN, &table, END, after].concat(),
    )?)
}
