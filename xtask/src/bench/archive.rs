//! A warm archive of 20 MB against nginx with `sendfile`, and what a stream costs in memory.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use package_broker_e2e::broker::Broker;
use package_broker_e2e::http;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;
use sha1::{Digest, Sha1};

use super::Bench;
use super::documents::authorization;
use super::load::{Load, script};
use super::nginx::Nginx;
use super::report::{Reach, Row, median};

const SIZE: usize = 20 << 20;
const ROUNDS: usize = 5;
const STREAMS: usize = 64;

/// An upstream with one package whose archive has `SIZE` bytes.
pub(super) fn upstream(folder: &Path) -> Result<Nginx> {
    let files = folder.join("upstream");
    fs::create_dir_all(files.join("p2/bench"))?;
    let archive = archive_bytes();
    let checksum = hex::encode(Sha1::digest(&archive));
    fs::write(files.join("big.zip"), archive)?;
    let nginx = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], true)?;
    let url = format!("{}/big.zip", nginx.url());
    let version = json!({
        "name": "bench/big", "version": "1.0.0", "version_normalized": "1.0.0.0", "type": "library",
        "dist": {"type": "zip", "url": url, "reference": checksum, "shasum": checksum},
    });
    let document = json!({"packages": {"bench/big": [version]}});
    fs::write(
        files.join("p2/bench/big.json"),
        serde_json::to_vec(&document)?,
    )?;
    let root = json!({"packages": [], "metadata-url": "/p2/%package%.json", "available-packages": ["bench/big"]});
    fs::write(files.join("packages.json"), serde_json::to_vec(&root)?)?;
    Ok(nginx)
}

/// A zip in form: its marks are in place, its content is noise that does not compress.
fn archive_bytes() -> Vec<u8> {
    let mut bytes = b"PK\x03\x04".to_vec();
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    while bytes.len() < SIZE - 22 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(SIZE - 22);
    let directory = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    bytes.extend(b"PK\x05\x06");
    bytes.extend([0; 12]);
    bytes.extend(directory.to_le_bytes());
    bytes.extend([0; 2]);
    bytes
}

/// A broker in front of that upstream, and the path of the archive.
pub(super) fn in_front_of(
    bench: &Bench,
    folder: &Path,
    upstream: &Nginx,
) -> Result<(Broker, String)> {
    let manifests =
        Manifests::on_loopback().repository("bench", "composer", &upstream.url(), &json!({}));
    let mut broker = bench.broker(folder, &manifests)?;
    broker.wait_for_packages(Manifests::TOKEN, ["bench/big"], Duration::from_secs(30))?;
    let document = broker.get(Manifests::TOKEN, "/p2/bench/big.json")?.json()?;
    let url = document["packages"]["bench/big"][0]["dist"]["url"]
        .as_str()
        .context("no dist url")?
        .to_owned();
    let path = url
        .strip_prefix(broker.url())
        .context("the archive is elsewhere")?
        .to_owned();
    Ok((broker, path))
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let folder = bench.fresh("archive")?;
    let nginx = upstream(&folder)?;
    let (broker, path) = in_front_of(bench, &folder, &nginx)?;
    let authorization = authorization(&broker)?;
    let answer = http::get(
        &format!("{}{path}", broker.url()),
        &[("Authorization", &authorization)],
    )?;
    anyhow::ensure!(
        answer.body.len() == SIZE,
        "the archive has {} bytes",
        answer.body.len()
    );
    let rival = Nginx::serve(
        &folder.join("rival-nginx"),
        &folder.join("upstream"),
        &[],
        false,
    )?;
    let (our_script, their_script) = (folder.join("ours.lua"), folder.join("theirs.lua"));
    script(&our_script, std::slice::from_ref(&path))?;
    script(&their_script, &["/big.zip".to_owned()])?;
    let load = |url: &str, authorization, script: &Path| {
        Load {
            url,
            authorization,
            script,
            connections: 4,
            seconds: 3,
        }
        .run()
        .map(|t| t.bytes_per_second)
    };
    let mut ours = Vec::new();
    let mut theirs = Vec::new();
    for _ in 0..ROUNDS {
        ours.push(load(broker.url(), Some(&authorization), &our_script)?);
        theirs.push(load(&rival.url(), None, &their_script)?);
    }
    let ratios = ours
        .iter()
        .zip(&theirs)
        .map(|(ours, theirs)| ours / theirs)
        .collect();
    let gigabytes = |figures| median(figures) / 1e9;
    let throughput = Row {
        work: "warm archive of 20 MB, 4 streams",
        ours: format!("{:.2} GB/s", gigabytes(ours)),
        against: format!("nginx {:.2} GB/s", gigabytes(theirs)),
        figure: median(ratios),
        unit: "x",
        reach: Reach::AtLeast(0.8),
    };
    Ok(vec![throughput, memory(&broker, &path, &authorization)?])
}

/// How much memory a stream takes whose client reads nothing: the most a stream ever holds.
fn memory(broker: &Broker, path: &str, authorization: &str) -> Result<Row> {
    let before = resident(broker.id())?;
    let address = broker.url().trim_start_matches("http://").to_owned();
    let mut streams = Vec::new();
    for _ in 0..STREAMS {
        let mut stream = TcpStream::connect(&address)?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: {authorization}\r\n\r\n"
        )?;
        let mut head = [0; 64];
        stream.read_exact(&mut head)?;
        streams.push(stream);
    }
    std::thread::sleep(Duration::from_secs(2));
    let each = resident(broker.id())?.saturating_sub(before) as f64 / STREAMS as f64;
    Ok(Row {
        work: "memory of a stalled archive stream",
        ours: format!("{:.0} KiB over {STREAMS} streams", each / 1024.0),
        against: "-".to_owned(),
        figure: each / 1_048_576.0,
        unit: "MiB",
        reach: Reach::AtMost(1.0),
    })
}

/// The resident memory of a process, in bytes.
pub(super) fn resident(process: u32) -> Result<u64> {
    in_status(process, "VmRSS:")
}

/// What of it are pages of files, its program's above all, which the system may drop.
pub(super) fn of_files(process: u32) -> Result<u64> {
    in_status(process, "RssFile:")
}

fn in_status(process: u32, field: &str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(field))
        .with_context(|| format!("no {field}"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
