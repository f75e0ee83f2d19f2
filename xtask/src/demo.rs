//! `cargo xtask demo`: the main job on real input, on this machine, without a cluster.

mod packages;
mod sources;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use package_broker_e2e::broker::Broker;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Map, Value, json};

use crate::process::{cargo, step, watch};
use crate::{setup, workspace};
use packages::Selection;
use sources::Sources;

/// Longest time until everything is synced.
const SYNC_LIMIT: Duration = Duration::from_mins(2);

/// Builds the broker, serves packages from a git repository, a Composer repository and an
/// artifact folder, and installs them with a real Composer. Everything it writes stays below
/// `target/demo` to be looked at; every process ends.
pub(crate) fn demo() -> Result<()> {
    setup::packages::ensure(setup::packages::FOR_DEMO)?;
    step("building package-broker");
    watch(cargo(&["build", "--package", "package-broker"]))?;

    let folder = workspace().join("target/demo");
    start_afresh(&folder)?;
    let selection = packages::select()?;
    step(&selection.about);
    let sources = Sources::start(&folder.join("sources"), &selection)?;

    let manifests = folder.join("manifests");
    sources.manifests().write(&manifests)?;
    step("starting package-broker run -f target/demo/manifests --data target/demo/data");
    let mut broker = Broker::start(&manifests, &folder.join("data"))?;
    println!(
        "    it serves {}, metrics at {}",
        broker.url(),
        broker.metrics_url()
    );
    broker.wait_for_packages(Manifests::TOKEN, selection.names(), SYNC_LIMIT)?;
    println!(
        "    it has synced {}",
        selection.names().collect::<Vec<_>>().join(", ")
    );

    let project = install(&folder.join("project"), &broker, &selection)?;
    step("running the installed code in PHP");
    print_indented(&project.php(&selection.script)?.success()?.stdout);
    drop(broker);
    print_next_steps();
    Ok(())
}

fn start_afresh(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn install(folder: &Path, broker: &Broker, selection: &Selection) -> Result<ComposerProject> {
    step("composer install, with the auth.json that the broker wrote");
    let require: Map<String, Value> = selection
        .names()
        .map(|name| (name.to_owned(), json!("*")))
        .collect();
    let extra = json!({"require": require});
    let project = ComposerProject::create(ComposerVersion::Debian, folder, broker.url(), &extra)?;
    project.authenticate(&broker.auth_json(Manifests::TOKEN))?;
    let said = project
        .composer(&["install", "--no-progress", "--no-ansi"])?
        .success()?;
    print_indented(&said.stderr);
    Ok(project)
}

fn print_indented(text: &str) {
    for line in text.lines() {
        println!("    {line}");
    }
}

fn print_next_steps() {
    step("done: every process has ended, the files are in target/demo");
    println!("    target/demo/manifests  what the broker was told");
    println!("    target/demo/project    what Composer installed, with its composer.lock");
    println!("    target/demo/data.log   what the broker logged");
    println!();
    println!("Next: README.md for your own manifests, docs/ for every field and command, and");
    println!("      cargo run -p package-broker -- run -f examples/ --data ./data");
}
