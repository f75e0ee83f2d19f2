//! Archives through replicas: stored ones against asking the S3 server, and one that nobody has fetched yet.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use package_broker_e2e::broker::Broker;
use package_broker_e2e::garage::Garage;
use package_broker_e2e::http;
use package_broker_e2e::manifests::Manifests;
use rusty_s3::actions::ListObjectsV2;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};

use super::super::archive::upstream;
use super::super::documents::PUBLIC;
use super::super::load::{Load, script};
use super::super::nginx::Nginx;
use super::super::report::{Reach, Row, median};
use super::super::servers::Servers;
use super::super::{Bench, cold as cold_archive};
use super::{ROUNDS, manifests_of};

/// Servers with the one package of that upstream.
fn in_front_of(bench: &Bench, folder: &Path, nginx: &Nginx) -> Result<Servers> {
    let servers = Servers::start(&bench.binary, folder, true)?;
    servers.apply(&manifests_of(nginx))?;
    servers.sync("bench")?;
    Ok(servers)
}

/// The path of the package's archive.
fn path_of(replica: &Broker, authorization: &str) -> Result<String> {
    let url = format!("{}/p2/bench/big.json", replica.url());
    let document = http::get(&url, &[("Authorization", authorization)])?.json()?;
    let url = document["packages"]["bench/big"][0]["dist"]["url"].as_str();
    let path = url.and_then(|url| url.strip_prefix(PUBLIC));
    Ok(path.context("no archive")?.to_owned())
}

/// Sixteen clients ask two replicas for an archive that neither has.
pub(in crate::bench) fn cold(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("replicas-cold")?;
    let nginx = upstream(&folder)?;
    let servers = in_front_of(bench, &folder, &nginx)?;
    let (one, two) = (servers.serve("one")?, servers.serve("two")?);
    let authorization = servers.authorization(Manifests::TOKEN)?;
    let path = path_of(&one, &authorization)?;
    let urls = [&one, &two].map(|replica| format!("{}{path}", replica.url()));
    let works = [
        "cold archive on two replicas: upstream downloads",
        "cold archive on two replicas: truncated or wrong answers",
    ];
    cold_archive::at_once(works, &folder, &nginx, &urls, &authorization)
}

/// A stored archive of 20 MB through a replica, against asking the S3 server.
pub(in crate::bench) fn stored(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("replicas-archive")?;
    let nginx = upstream(&folder)?;
    let servers = in_front_of(bench, &folder, &nginx)?;
    let replica = servers.serve("one")?;
    let authorization = servers.authorization(Manifests::TOKEN)?;
    let path = &path_of(&replica, &authorization)?;
    let url = format!("{}{path}", replica.url());
    let stored = http::get(&url, &[("Authorization", &authorization)])?;
    ensure!(stored.status == 200, "{}", stored.text());
    let object = signed(&servers.garage)?;
    let direct = http::get(&format!("{}{object}", servers.garage.endpoint()), &[])?;
    ensure!(direct.body == stored.body, "the object is another");
    let (our_script, their_script) = (folder.join("ours.lua"), folder.join("theirs.lua"));
    script(&our_script, std::slice::from_ref(path))?;
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
