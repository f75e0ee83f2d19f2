//! Syncs into PostgreSQL: first ones, and one that finds nothing new.

use anyhow::{Context, Result, ensure};
use package_broker_e2e::http;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::super::documents::manifests;
use super::super::nginx::Nginx;
use super::super::report::{Reach, Row, median};
use super::super::servers::Servers;
use super::super::sync::unchanged_rows;
use super::super::{Bench, corpus, git as git_repository};

/// The first sync of 150 000 versions into PostgreSQL, reading and rendering included.
pub(in crate::bench) fn first(bench: &Bench) -> Result<Vec<Row>> {
    const VERSIONS: usize = 30;
    let folder = bench.fresh("replicas-sync")?;
    let files = folder.join("upstream");
    corpus::write(&files, 5_000, VERSIONS)?;
    let upstream = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], false)?;
    let mut speeds = Vec::new();
    for round in 0..3 {
        let folder = bench.fresh(&format!("replicas-sync/round-{round}"))?;
        let servers = Servers::start(&bench.binary, &folder, true)?;
        let concurrency = json!({"sync": {"packagesPerRepository": 8, "perHost": 8}});
        let manifests = manifests(&upstream.url());
        servers.apply(&manifests.patched("PackageBroker", Manifests::BROKER, &concurrency))?;
        let report = servers.sync("bench")?;
        let seconds = report["seconds"].as_f64().context("no time")?;
        ensure!(report["changed"] == 5_000, "{report}");
        speeds.push((5_000 * VERSIONS) as f64 / seconds);
    }
    Ok(vec![Row {
        work: "first sync into PostgreSQL, 5 000 x 30, the whole command",
        ours: "versions/s".to_owned(),
        against: "-".to_owned(),
        figure: median(speeds),
        unit: "/s",
        reach: Reach::AtLeast(20_000.0),
    }])
}

/// The first sync of a git repository against Composer's own.
pub(in crate::bench) fn git(bench: &Bench) -> Result<Vec<Row>> {
    let work = "first sync of a git repository into PostgreSQL, 1 000 tags";
    git_repository::against_composer(work, &bench.fresh("replicas-git")?, |folder, url| {
        let servers = Servers::start(&bench.binary, folder, true)?;
        let public = json!({"externalUrl": super::super::documents::PUBLIC});
        let manifests = git_repository::manifests(url);
        servers.apply(&manifests.patched("PackageBroker", Manifests::BROKER, &public))?;
        let report = servers.sync("library")?;
        let replica = servers.serve("one")?;
        let authorization = servers.authorization(Manifests::TOKEN)?;
        let url = format!("{}{}", replica.url(), git_repository::DOCUMENT);
        let document = http::get(&url, &[("Authorization", &authorization)])?.json()?;
        git_repository::ensure_whole(&document)?;
        report["seconds"].as_f64().context("no time")
    })
}

/// The second sync of a repository that is as it was.
pub(in crate::bench) fn unchanged(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("replicas-unchanged")?;
    let files = folder.join("upstream");
    let packages = 500;
    corpus::write(&files, packages, 5)?;
    let upstream = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], true)?;
    let servers = Servers::start(&bench.binary, &folder, true)?;
    // That a process starts is recorded as well, and no part of a sync.
    let quiet = json!({"audit": {"enabled": false}});
    let manifests = manifests(&upstream.url());
    servers.apply(&manifests.patched("PackageBroker", Manifests::BROKER, &quiet))?;
    servers.sync("bench")?;
    upstream.take_log()?;
    let before = servers.rows_written()?;
    let report = servers.sync("bench")?;
    ensure!(report["changed"] == 0, "{report}");
    let written = servers.rows_written()? - before;
    let works = [
        "sync into PostgreSQL with nothing changed: requests a document",
        "sync into PostgreSQL with nothing changed: rows written",
    ];
    let how = "inserted, updated, deleted; but for the claim";
    unchanged_rows(works, &upstream, packages, how, written as f64)
}
