//! Package files and the root file against nginx with the same bytes in files.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use package_broker_e2e::broker::{Broker, credentials_in};
use package_broker_e2e::http;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::load::{Load, script};
use super::nginx::Nginx;
use super::report::{Reach, Row, median};
use super::{Bench, corpus};

const PACKAGES: usize = 10_000;
const VERSIONS: usize = 10;
const ROUNDS: usize = 15;
const CONNECTIONS: usize = 32;

/// The public URL of every installation.
pub(super) const PUBLIC: &str = "https://packages.example.com";

/// A broker that has synced a corpus from an nginx of its own.
pub(super) struct Loaded {
    pub(super) broker: Broker,
    pub(super) upstream: Nginx,
}

/// Serves a corpus and lets a broker sync all of it.
pub(super) fn loaded(
    bench: &Bench,
    folder: &Path,
    packages: usize,
    versions: usize,
) -> Result<Loaded> {
    let files = folder.join("upstream");
    corpus::write(&files, packages, versions)?;
    let upstream = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], true)?;
    let mut broker = bench.broker(folder, &manifests(&upstream.url()))?;
    let last = corpus::name(packages - 1);
    let first = corpus::name(0);
    broker.wait_for_packages(
        Manifests::TOKEN,
        [first.as_str(), last.as_str()],
        Duration::from_mins(3),
    )?;
    wait_until_ready(&broker)?;
    Ok(Loaded { broker, upstream })
}

/// Manifests with one repository. The public URL is the same after a restart, when the port is another: documents
/// hold it.
pub(super) fn manifests(upstream: &str) -> Manifests {
    let url = json!({"externalUrl": PUBLIC});
    Manifests::on_loopback()
        .patched("PackageBroker", Manifests::BROKER, &url)
        .repository("bench", "composer", upstream, &json!({}))
}

/// Waits until every first sync has ended.
pub(super) fn wait_until_ready(broker: &Broker) -> Result<()> {
    let url = format!("{}/readyz", broker.metrics_url());
    for _ in 0..1_200 {
        if http::get(&url, &[])?.status == 200 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("the broker did not become ready:\n{}", broker.log())
}

/// The value of `Authorization` for the token that may read everything.
pub(super) fn authorization(broker: &Broker) -> Result<String> {
    authorization_in(&broker.auth_json(Manifests::TOKEN))
}

/// The value of `Authorization` for the token in an `auth.json`.
pub(super) fn authorization_in(auth_json: &Path) -> Result<String> {
    let (user, secret) = credentials_in(auth_json)?;
    Ok(format!(
        "Basic {}",
        STANDARD.encode(format!("{user}:{secret}"))
    ))
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("documents")?;
    let Loaded { broker, .. } = loaded(bench, &folder, PACKAGES, VERSIONS)?;
    let authorization = authorization(&broker)?;
    let works = [
        "/p2, authenticated, 10 000 packages",
        "/packages.json, authenticated, 10 000 names",
    ];
    against_nginx(works, &folder, &broker, &authorization, PACKAGES)
}

/// Package files and the root file from a broker, against nginx with the same bytes in files.
pub(super) fn against_nginx(
    works: [&'static str; 2],
    folder: &Path,
    broker: &Broker,
    authorization: &str,
    packages: usize,
) -> Result<Vec<Row>> {
    let files = folder.join("same-bytes");
    let paths: Vec<String> = (0..packages)
        .map(|number| format!("/p2/{}.json", corpus::name(number)))
        .collect();
    let root = vec!["/packages.json".to_owned()];
    for path in paths.iter().chain(&root) {
        save(broker, authorization, path, &files)?;
    }
    let rival = Nginx::serve(
        &folder.join("rival-nginx"),
        &files,
        &[("Content-Encoding", "gzip")],
        false,
    )?;
    works
        .into_iter()
        .zip([&paths, &root])
        .map(|(work, paths)| compare(work, folder, paths, broker, authorization, &rival))
        .collect()
}

/// Keeps the broker's own bytes for nginx.
fn save(broker: &Broker, authorization: &str, path: &str, files: &Path) -> Result<()> {
    let headers = [
        ("Authorization", authorization),
        ("Accept-Encoding", "gzip"),
    ];
    let answer = http::get(&format!("{}{path}", broker.url()), &headers)?;
    anyhow::ensure!(
        answer.status == 200,
        "{path} is answered with {}",
        answer.status
    );
    let file = files.join(path.trim_start_matches('/'));
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    Ok(fs::write(file, answer.body)?)
}

fn compare(
    work: &'static str,
    folder: &Path,
    paths: &[String],
    broker: &Broker,
    authorization: &str,
    rival: &Nginx,
) -> Result<Row> {
    let file = folder.join("requests.lua");
    script(&file, paths)?;
    let load = |url: &str, authorization| {
        Load {
            url,
            authorization,
            script: &file,
            connections: CONNECTIONS,
            seconds: 1,
        }
        .run()
    };
    load(broker.url(), Some(authorization))?;
    load(&rival.url(), None)?;
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(load(broker.url(), Some(authorization))?.requests_per_second);
        theirs.push(load(&rival.url(), None)?.requests_per_second);
    }
    let ratios = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    Ok(Row {
        work,
        ours: format!("{:.0} requests/s", median(ours)),
        against: format!("nginx {:.0} requests/s", median(theirs)),
        figure: median(ratios),
        unit: "x",
        reach: Reach::AtLeast(0.9),
    })
}
