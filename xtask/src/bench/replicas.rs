//! The same work on PostgreSQL, S3 and Redis: beside the embedded drivers, and beside the servers themselves.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use package_broker_e2e::garage::Garage;
use package_broker_e2e::http;
use package_broker_e2e::manifests::Manifests;
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use serde_json::json;

use super::archive::{resident, upstream};
use super::documents::{self, Loaded, authorization, loaded, manifests};
use super::load::{Load, script};
use super::nginx::Nginx;
use super::report::{Reach, Row, median};
use super::servers::Servers;
use super::{Bench, corpus};

const PACKAGES: usize = 10_000;
const ROUNDS: usize = 5;
const CONNECTIONS: usize = 32;

/// Documents and the root file from a replica, against the embedded drivers; and what the replica takes.
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
        load(&ours)?;
        load(&theirs)?;
        let mut pairs = Vec::new();
        for _ in 0..ROUNDS {
            pairs.push((load(&ours)?, load(&theirs)?));
        }
        rows.push(Row {
            work,
            ours: format!(
                "{:.0} requests/s",
                median(pairs.iter().map(|pair| pair.0).collect())
            ),
            against: format!(
                "embedded {:.0} requests/s",
                median(pairs.iter().map(|pair| pair.1).collect())
            ),
            figure: median(pairs.iter().map(|pair| pair.0 / pair.1).collect()),
            unit: "x",
            reach: Reach::AtLeast(0.95),
        });
    }
    rows.push(Row {
        work: "memory of a replica, 10 000 packages, after that",
        ours: "resident".to_owned(),
        against: "-".to_owned(),
        figure: resident(replica.id())? as f64 / 1_048_576.0,
        unit: "MiB",
        reach: Reach::AtMost(64.0),
    });
    Ok(rows)
}

/// The first sync of 150 000 versions into PostgreSQL, reading and rendering included.
pub(super) fn sync(bench: &Bench) -> Result<Vec<Row>> {
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

/// A stored archive of 20 MB through a replica, against asking the S3 server.
pub(super) fn archive(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("replicas-archive")?;
    let nginx = upstream(&folder)?;
    let servers = Servers::start(&bench.binary, &folder, true)?;
    servers.apply(&manifests_of(&nginx))?;
    servers.sync("bench")?;
    let replica = servers.serve("one")?;
    let authorization = servers.authorization(Manifests::TOKEN)?;
    let get = |path: &str| {
        http::get(
            &format!("{}{path}", replica.url()),
            &[("Authorization", &authorization)],
        )
    };
    let document = get("/p2/bench/big.json")?.json()?;
    let url = document["packages"]["bench/big"][0]["dist"]["url"].as_str();
    let path = url.and_then(|url| url.strip_prefix(documents::PUBLIC));
    let path = path.context("no archive")?;
    let stored = get(path)?;
    ensure!(stored.status == 200, "{}", stored.text());
    let object = signed(&servers.garage)?;
    let direct = http::get(&format!("{}{object}", servers.garage.endpoint()), &[])?;
    ensure!(direct.body == stored.body, "the object is another");
    let (our_script, their_script) = (folder.join("ours.lua"), folder.join("theirs.lua"));
    script(&our_script, &[path.to_owned()])?;
    script(&their_script, &[object])?;
    let endpoint = servers.garage.endpoint();
    let load = |url: &str, authorization, script| -> Result<f64> {
        let load = Load {
            url,
            authorization,
            script,
            connections: 4,
            seconds: 5,
        };
        Ok(load.run()?.bytes_per_second)
    };
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push((
            load(replica.url(), Some(authorization.as_str()), &our_script)?,
            load(&endpoint, None, &their_script)?,
        ));
    }
    let mib = |bytes: f64| bytes / 1_048_576.0;
    Ok(vec![Row {
        work: "stored archive of 20 MB through S3",
        ours: format!(
            "{:.0} MiB/s",
            mib(median(pairs.iter().map(|pair| pair.0).collect()))
        ),
        against: format!(
            "Garage itself {:.0} MiB/s",
            mib(median(pairs.iter().map(|pair| pair.1).collect()))
        ),
        figure: median(pairs.iter().map(|pair| pair.0 / pair.1).collect()),
        unit: "x",
        reach: Reach::AtLeast(0.8),
    }])
}

pub(super) fn manifests_of(upstream: &Nginx) -> Manifests {
    manifests(&upstream.url())
}

/// The path of the one object in the bucket, with a signature that is good for the time of a benchmark.
fn signed(garage: &Garage) -> Result<String> {
    let endpoint = garage.endpoint().parse()?;
    let bucket = Bucket::new(endpoint, UrlStyle::Path, Garage::BUCKET, "us-east-1")?;
    let credentials = Credentials::new(Garage::KEY, Garage::SECRET);
    let time = Duration::from_mins(30);
    let list = bucket.list_objects_v2(Some(&credentials)).sign(time);
    let listed = http::get(list.as_str(), &[])?.text();
    let listed = ListObjectsV2::parse_response(&listed)?;
    let key = &listed.contents.first().context("the bucket is empty")?.key;
    let link = bucket.get_object(Some(&credentials), key).sign(time);
    Ok(link
        .as_str()
        .trim_start_matches(&garage.endpoint())
        .to_owned())
}
