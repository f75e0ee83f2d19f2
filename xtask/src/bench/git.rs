//! The first sync of a git repository with 1 000 tags against Composer's own `vcs` repository.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::process::{run, tethered};
use serde_json::{Value, json};

use super::Bench;
use super::documents::wait_until_ready;
use super::report::{Reach, Row, median};
use super::sync::seconds_in_log;

const TAGS: usize = 1_000;
const ROUNDS: usize = 3;

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let work = "first sync of a git repository, 1 000 tags";
    against_composer(work, &bench.fresh("git")?, |folder, url| {
        let broker = bench.broker(folder, &manifests(url))?;
        wait_until_ready(&broker)?;
        let document = broker.get(Manifests::TOKEN, DOCUMENT)?.json()?;
        ensure_whole(&document)?;
        seconds_in_log(&broker.log()).with_context(|| format!("no sync ended:\n{}", broker.log()))
    })
}

/// The one package of the repository.
pub(super) const DOCUMENT: &str = "/p2/bench/library.json";

/// The manifests of a broker that reads the repository at that URL.
pub(super) fn manifests(url: &str) -> Manifests {
    Manifests::on_loopback().repository("library", "git", url, &json!({}))
}

/// Fails unless every tag is in the package's document.
pub(super) fn ensure_whole(document: &Value) -> Result<()> {
    let versions = document["packages"]["bench/library"].as_array();
    let versions = versions.map_or(0, Vec::len);
    ensure!(versions == TAGS, "{versions} of {TAGS} tags were synced");
    Ok(())
}

/// Syncs a repository by `sync`, which is given an empty folder and the URL and tells how many seconds it took, and has
/// Composer read it.
pub(super) fn against_composer(
    work: &'static str,
    folder: &Path,
    sync: impl Fn(&Path, &str) -> Result<f64>,
) -> Result<Vec<Row>> {
    let repository = folder.join("library.git");
    create(&repository)?;
    let url = format!("file://{}", repository.display());
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for round in 0..ROUNDS {
        let round = folder.join(format!("round-{round}"));
        fs::create_dir(&round)?;
        ours.push(sync(&round, &url)?);
        theirs.push(composer(&round.join("project"), &url)?);
    }
    let ratios = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| theirs / ours)
        .collect();
    Ok(vec![Row {
        work,
        ours: format!("{:.2} s", median(ours)),
        against: format!("composer vcs {:.1} s", median(theirs)),
        figure: median(ratios),
        unit: "x",
        reach: Reach::AtLeast(20.0),
    }])
}

/// How long Composer's own `vcs` repository takes to read the same repository, with an empty cache.
fn composer(folder: &Path, url: &str) -> Result<f64> {
    let extra = json!({"repositories": [{"type": "vcs", "url": url}, {"packagist.org": false}]});
    let project = ComposerProject::create(ComposerVersion::Debian, folder, url, &extra)?;
    let began = Instant::now();
    let said = project
        .composer(&["show", "--all", "--no-ansi", "bench/library"])?
        .success()?;
    let elapsed = began.elapsed().as_secs_f64();
    ensure!(
        said.stdout.contains("v1.0.0"),
        "composer did not read the tags: {}",
        said.stdout
    );
    Ok(elapsed)
}

/// A bare repository with a commit and a tag a release, each with files that changed.
fn create(path: &Path) -> Result<()> {
    let mut init = tethered("git");
    init.args(["init", "--quiet", "--bare", "--initial-branch=main"])
        .arg(path);
    run(init, Duration::from_mins(1))?.success()?;
    let stream = path.with_extension("stream");
    let mut file = fs::File::create(&stream)?;
    for number in 0..TAGS {
        let (major, minor) = (number / 100 + 1, number % 100);
        let composer = json!({
            "name": "bench/library", "description": "A library with many releases", "type": "library", "license": "MIT",
            "require": {"php": format!(">=7.{}", number % 5), "psr/log": "^1.1 || ^2.0"},
            "autoload": {"psr-4": {"Bench\\Library\\": "src/"}},
        });
        let composer = serde_json::to_string_pretty(&composer)?;
        let source = format!(
            "<?php\nnamespace Bench\\Library;\nfinal class Release {{ const NUMBER = {number}; }}\n"
        );
        let time = 1_500_000_000 + number * 86_400;
        writeln!(
            file,
            "commit refs/heads/main\ncommitter A Person <person@example.com> {time} +0000\ndata 7\nrelease"
        )?;
        for (name, text) in [("composer.json", &composer), ("src/Release.php", &source)] {
            writeln!(file, "M 100644 inline {name}\ndata {}\n{text}", text.len())?;
        }
        writeln!(
            file,
            "reset refs/tags/v{major}.{minor}.0\nfrom refs/heads/main\n"
        )?;
    }
    drop(file);
    let mut import = tethered("git");
    import
        .arg("-C")
        .arg(path)
        .args(["fast-import", "--quiet"])
        .stdin(Stdio::from(fs::File::open(&stream)?));
    let status = import.status()?;
    ensure!(status.success(), "git fast-import failed");
    Ok(())
}
