//! Syncs of a Composer repository: the first, against the bare time to fetch it, and one that finds nothing new.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use package_broker_e2e::manifests::Manifests;
use serde_json::json;
use sha1::{Digest, Sha1};

use super::documents::{Loaded, loaded, manifests, wait_until_ready};
use super::link::Link;
use super::nginx::Nginx;
use super::report::{Reach, Row, median};
use super::{Bench, corpus, fetch};

const PACKAGES: usize = 5_000;
const VERSIONS: usize = 30;
const ROUNDS: usize = 3;
const CONNECTIONS: usize = 8;

/// The round trips of the links that a first sync is measured over. A server in the same region is a millisecond or a
/// few away, one on the same continent ten times that.
const ROUND_TRIPS: [(Duration, &str); 2] = [
    (
        Duration::from_millis(2),
        "first sync, 5 000 x 30, 2 ms away",
    ),
    (
        Duration::from_millis(10),
        "first sync, 5 000 x 30, 10 ms away",
    ),
];

/// The first sync against the bare time to fetch the same bytes over as many connections: over links as they are, and
/// without one. On loopback the bare fetch is nothing but copying in memory, so what is left there is our own work for
/// 150 000 versions.
pub(super) fn first(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("sync")?;
    let files = folder.join("upstream");
    corpus::write(&files, PACKAGES, VERSIONS)?;
    let upstream = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], false)?;
    let mut rows = Vec::new();
    for (round_trip, work) in ROUND_TRIPS {
        let link = Link::to(upstream.address(), round_trip / 2)?;
        rows.push(against_bare_fetch(bench, link.address(), work)?);
    }
    let work = "first sync, 5 000 x 30, on loopback";
    rows.push(against_bare_fetch(bench, upstream.address(), work)?);
    Ok(rows)
}

fn against_bare_fetch(bench: &Bench, address: &str, work: &'static str) -> Result<Row> {
    let paths: Vec<String> = (0..PACKAGES)
        .flat_map(|number| {
            ["", "~dev"].map(|channel| format!("/p2/{}{channel}.json", corpus::name(number)))
        })
        .collect();
    let spec = json!({"egress": {"allowedNetworks": ["127.0.0.0/8"], "allowHttp": true}, "sync": {"packagesPerRepository": CONNECTIONS, "perHost": CONNECTIONS}});
    let url = format!("http://{address}");
    let manifests = Manifests::with_broker(&spec).repository("bench", "composer", &url, &json!({}));
    let mut ours = Vec::new();
    let mut bare = Vec::new();
    let mut bytes = 0;
    for round in 0..ROUNDS {
        let (time, total) = fetch::all(address, &paths, CONNECTIONS)?;
        bare.push(time.as_secs_f64());
        bytes = total;
        let round = bench.fresh(&format!("sync/round-{round}"))?;
        let broker = bench.broker(&round, &manifests)?;
        let began = Instant::now();
        wait_until_ready(&broker)?;
        let waited = began.elapsed().as_secs_f64();
        ours.push(seconds_in_log(&broker.log()).unwrap_or(waited));
    }
    let ratios = ours
        .iter()
        .zip(&bare)
        .map(|(ours, bare)| ours / bare)
        .collect();
    Ok(Row {
        work,
        ours: format!("{:.2} s", median(ours)),
        against: format!("bare fetch {:.2} s, {} MB", median(bare), bytes / 1_000_000),
        figure: median(ratios),
        unit: "x",
        reach: Reach::AtMost(1.5),
    })
}

/// The time a finished sync gives in its log line.
pub(super) fn seconds_in_log(log: &str) -> Option<f64> {
    let line = log.lines().find(|line| line.contains(" synced "))?;
    let (_, seconds) = line.split_once("seconds=")?;
    seconds.split_whitespace().next()?.parse().ok()
}

pub(super) fn unchanged(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("unchanged")?;
    let packages = 500;
    let Loaded { broker, upstream } = loaded(bench, &folder, packages, 5)?;
    let data = broker.data().to_owned();
    drop(broker);
    upstream.take_log()?;
    // What was written and did not come into the file yet is in its log.
    let state = || -> Result<Vec<u8>> {
        let log = fs::read(data.join("state.db-wal")).unwrap_or_default();
        let file = fs::read(data.join("state.db"))?;
        Ok(Sha1::new()
            .chain_update(file)
            .chain_update(log)
            .finalize()
            .to_vec())
    };
    let before = state()?;
    // That a process starts is recorded in the database as well, and no part of a sync.
    let quiet = json!({"audit": {"enabled": false}});
    let manifests = manifests(&upstream.url()).patched("PackageBroker", Manifests::BROKER, &quiet);
    let broker = bench.broker(&folder, &manifests)?;
    let deadline = Instant::now() + Duration::from_mins(1);
    while seconds_in_log(&broker.log()).is_none() {
        anyhow::ensure!(
            Instant::now() < deadline,
            "no sync ended:\n{}",
            broker.log()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(broker);
    let written = state().context("after the second sync")? != before;
    let works = [
        "sync with nothing changed: requests a document",
        "sync with nothing changed: database changed",
    ];
    let how = "state.db compared byte for byte";
    unchanged_rows(
        works,
        &upstream,
        packages,
        how,
        f64::from(u8::from(written)),
    )
}

/// The rows of a sync of so many packages that found nothing new, from what its upstream was asked and how much was
/// `written`.
pub(super) fn unchanged_rows(
    works: [&'static str; 2],
    upstream: &Nginx,
    packages: usize,
    how: &str,
    written: f64,
) -> Result<Vec<Row>> {
    let log = upstream.take_log()?;
    let documents = 2 * packages + 1;
    let conditional = log.iter().filter(|line| line.starts_with("304 ")).count();
    anyhow::ensure!(
        conditional == log.len(),
        "of {} requests only {conditional} were answered 304",
        log.len()
    );
    let [requests, writes] = works;
    Ok(vec![
        Row {
            work: requests,
            ours: format!("{} conditional requests", log.len()),
            against: format!("{documents} documents"),
            figure: log.len() as f64 / documents as f64,
            unit: "",
            reach: Reach::AtMost(1.0),
        },
        Row {
            work: writes,
            ours: how.to_owned(),
            against: "-".to_owned(),
            figure: written,
            unit: "",
            reach: Reach::AtMost(0.0),
        },
    ])
}
