//! The same work on PostgreSQL, S3 and Redis: beside the embedded drivers, and beside the servers themselves.

mod archive;
mod start;
mod sync;

use std::path::Path;

use anyhow::Result;
use package_broker_e2e::manifests::Manifests;

pub(super) use self::archive::{cold, stored};
pub(super) use self::start::start;
pub(super) use self::sync::{first as sync, git, unchanged};
use super::archive::{of_files, resident};
use super::documents::{Loaded, against_nginx, authorization, loaded, manifests};
use super::load::{Load, script};
use super::nginx::Nginx;
use super::report::{Reach, Row, median};
use super::servers::Servers;
use super::{Bench, corpus};

const PACKAGES: usize = 10_000;
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 32;

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / 1_048_576.0
}

pub(super) fn manifests_of(upstream: &Nginx) -> Manifests {
    manifests(&upstream.url())
}

/// Documents and the root file from a replica, against the embedded drivers and against nginx; and what the replica
/// takes.
pub(super) fn documents(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("replicas")?;
    let Loaded { broker, upstream } = loaded(bench, &folder, PACKAGES, 10)?;
    let servers = Servers::start(&bench.binary, &folder, true)?;
    servers.apply(&manifests(&upstream.url()))?;
    servers.sync("bench")?;
    let replica = servers.serve("one")?;
    let paths: Vec<String> = (0..PACKAGES)
        .map(|number| format!("/p2/{}.json", corpus::name(number)))
        .collect();
    let root = vec!["/packages.json".to_owned()];
    let ours = (replica.url(), servers.authorization(Manifests::TOKEN)?);
    let theirs = (broker.url(), authorization(&broker)?);
    let mut rows = Vec::new();
    for (work, paths) in [
        ("/p2 on servers, 10 000 packages", &paths),
        ("/packages.json on servers, 10 000 names", &root),
    ] {
        rows.push(against_embedded(work, &folder, paths, &ours, &theirs)?);
    }
    rows.push(Row {
        work: "memory of a replica, 10 000 packages, after that",
        ours: format!(
            "resident, {:.0} MiB of files among it",
            mebibytes(of_files(replica.id())?)
        ),
        against: "-".to_owned(),
        figure: mebibytes(resident(replica.id())?),
        unit: "MiB",
        reach: Reach::AtMost(64.0),
    });
    drop(broker);
    let works = [
        "/p2 on servers against nginx, 10 000 packages",
        "/packages.json on servers against nginx, 10 000 names",
    ];
    let (_, authorization) = ours;
    rows.extend(against_nginx(
        works,
        &folder,
        &replica,
        &authorization,
        PACKAGES,
    )?);
    Ok(rows)
}

/// Throughput of a replica and of one process on the embedded drivers, each by its URL and `Authorization`.
fn against_embedded(
    work: &'static str,
    folder: &Path,
    paths: &[String],
    ours: &(&str, String),
    theirs: &(&str, String),
) -> Result<Row> {
    let file = folder.join("requests.lua");
    script(&file, paths)?;
    let load = |(url, authorization): &(&str, String)| -> Result<f64> {
        let load = Load {
            url,
            authorization: Some(authorization),
            script: &file,
            connections: CONNECTIONS,
            seconds: 3,
        };
        Ok(load.run()?.requests_per_second)
    };
    load(ours)?;
    load(theirs)?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push((load(ours)?, load(theirs)?));
    }
    let ratios = pairs.iter().map(|(ours, theirs)| ours / theirs).collect();
    let (ours, theirs): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
    Ok(Row {
        work,
        ours: format!("{:.0} requests/s", median(ours)),
        against: format!("embedded {:.0} requests/s", median(theirs)),
        figure: median(ratios),
        unit: "x",
        reach: Reach::AtLeast(0.95),
    })
}
