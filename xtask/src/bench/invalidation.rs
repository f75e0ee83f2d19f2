//! How long what is changed by one process takes to be seen by another replica.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use package_broker_e2e::broker::Broker;
use package_broker_e2e::http;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::nginx::Nginx;
use super::replicas::manifests_of;
use super::report::{Reach, Row};
use super::servers::Servers;
use super::{Bench, corpus};

/// Changes of packages whose way to another replica is timed.
const CHANGES: usize = 200;
/// Tokens that are withdrawn one after the other.
const TOKENS: usize = 40;
const PATIENCE: Duration = Duration::from_secs(20);

/// How word of changes goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    ByRedis,
    ByPostgres,
    /// Redis is in the settings, and away.
    Never,
}

pub(super) fn measure(bench: &Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (word, changed, withdrawn) in [
        (
            Word::ByRedis,
            "change seen by another replica, Redis, p50",
            "token withdrawn, Redis, from the start of `apply`, max",
        ),
        (
            Word::ByPostgres,
            "change seen by another replica, PostgreSQL, p50",
            "token withdrawn, PostgreSQL, from the start of `apply`, max",
        ),
        (
            Word::Never,
            "change seen by another replica, Redis away, p50",
            "token withdrawn, Redis away, from the start of `apply`, max",
        ),
    ] {
        let mut replicas = Replicas::start(bench, word)?;
        let changes = replicas.changes()?;
        for (work, percent) in [(changed, 50), ("p99", 99), ("max", 100)] {
            rows.push(row(work, &changes, percent));
        }
        rows.push(row(withdrawn, &replicas.withdrawals()?, 100));
    }
    Ok(rows)
}

/// What so many percent of the times, which are in order, do not exceed.
fn row(work: &'static str, times: &[f64], percent: usize) -> Row {
    let place = (times.len() - 1) * percent / 100;
    Row {
        work,
        ours: format!("{} changes", times.len()),
        against: "-".to_owned(),
        figure: times.get(place).copied().unwrap_or(f64::NAN),
        unit: "ms",
        reach: Reach::AtMost(1000.0),
    }
}

/// Two replicas on the same servers, over a source that nobody has read yet.
struct Replicas {
    one: Broker,
    other: Broker,
    manifests: Manifests,
    servers: Servers,
    _upstream: Nginx,
}

impl Replicas {
    fn start(bench: &Bench, word: Word) -> Result<Self> {
        let folder = bench.fresh("invalidation")?;
        let files = folder.join("upstream");
        corpus::write(&files, CHANGES, 2)?;
        let root = json!({"packages": [], "metadata-url": "/p2/%package%.json"});
        std::fs::write(files.join("packages.json"), root.to_string())?;
        let upstream = Nginx::serve(&folder.join("upstream-nginx"), &files, &[], false)?;
        let mut servers = Servers::start(&bench.binary, &folder, word != Word::ByPostgres)?;
        let broker = json!({"name": Manifests::BROKER});
        // Each reader comes from an address of its own, as nobody who guesses would.
        let proxies = json!({"trustedProxies": ["127.0.0.1/32"]});
        let manifests =
            manifests_of(&upstream).patched("PackageBroker", Manifests::BROKER, &proxies);
        let manifests = (0..TOKENS).fold(manifests, |manifests, number| {
            let spec = json!({"brokerRef": broker});
            manifests.with("AccessToken", &token(number), &spec)
        });
        servers.apply(&manifests)?;
        servers.sync("bench")?;
        let (one, other) = (servers.serve("one")?, servers.serve("other")?);
        if word == Word::Never {
            servers.stop_redis();
        }
        Ok(Self {
            one,
            other,
            manifests,
            servers,
            _upstream: upstream,
        })
    }

    /// Milliseconds after one replica has answered with a new package until the other one lists it, in order.
    fn changes(&self) -> Result<Vec<f64>> {
        let authorization = self.servers.authorization(Manifests::TOKEN)?;
        let times = (0..CHANGES).map(|number| {
            let name = corpus::name(number);
            let path = format!("/p2/{name}.json");
            let (_, answer) = get(&self.one, &authorization, 0, &path)?;
            ensure!(answer.contains("2."), "{name} is not there: {answer}");
            let quoted = format!("\"{name}\"");
            until(Instant::now(), || {
                let (_, list) = get(&self.other, &authorization, 0, "/list.json")?;
                Ok(list.contains(&quoted))
            })
        });
        sorted(times)
    }

    /// Milliseconds from the start of the command that withdraws a token until both replicas refuse it, in order.
    fn withdrawals(&mut self) -> Result<Vec<f64>> {
        let times = (0..TOKENS).map(|number| {
            let authorization = self.servers.authorization(&token(number))?;
            let status =
                |replica| anyhow::Ok(get(replica, &authorization, number, "/packages.json")?.0);
            ensure!(
                status(&self.one)? == 200 && status(&self.other)? == 200,
                "a token is refused"
            );
            let began = Instant::now();
            self.manifests = self
                .manifests
                .clone()
                .without("AccessToken", &token(number));
            self.servers.apply(&self.manifests)?;
            until(began, || Ok(status(&self.one)? == 401))?;
            until(began, || Ok(status(&self.other)? == 401))
        });
        sorted(times)
    }
}

fn token(number: usize) -> String {
    format!("reader-{number}")
}

/// Milliseconds until it is seen.
fn until(began: Instant, seen: impl Fn() -> Result<bool>) -> Result<f64> {
    while !seen()? {
        ensure!(began.elapsed() < PATIENCE, "a change was never seen");
        thread::sleep(Duration::from_micros(500));
    }
    Ok(began.elapsed().as_secs_f64() * 1000.0)
}

fn sorted(times: impl Iterator<Item = Result<f64>>) -> Result<Vec<f64>> {
    let mut times = times.collect::<Result<Vec<f64>>>()?;
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// The answer to the reader with a number.
fn get(replica: &Broker, authorization: &str, reader: usize, path: &str) -> Result<(u16, String)> {
    let url = format!("{}{path}", replica.url());
    let address = format!("198.51.100.{reader}");
    let headers = [
        ("Authorization", authorization),
        ("X-Forwarded-For", &address),
    ];
    let answer = http::get(&url, &headers)?;
    Ok((answer.status, answer.text()))
}
