//! The operator with many objects, on a whole cluster of its own: how long until all are ready, and what it takes.
//!
//! It shares this machine with the control plane, which does most of the work. Syncs are stubbed: a server that says what
//! a broker would say of each repository stands for all pods.

mod cluster;
mod process;

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use package_broker_e2e::{
    garage::Garage,
    http::{HttpServer, Response},
    place::Place,
    postgres::Postgres,
};
use serde_json::{Value, json};

use self::{cluster::Benched, process::Operator};
use super::{
    Bench,
    report::{Reach, Row},
};

/// How long all may take.
const LIMIT: Duration = Duration::from_mins(20);
const REPOSITORIES: usize = 1_000;
const TOKENS: usize = 10_000;
/// Foreign Secrets, each of this size in bytes. With five thousand of them the control plane takes more than 20 GiB: the API
/// server 12, etcd 5, the controllers 4.
const SECRETS: usize = 2_000;
const SECRET_SIZE: usize = 1_000_000;
/// How long nothing is done, to see what that takes.
const REST: Duration = Duration::from_mins(1);

/// All of it, one after the other, as a cluster takes long to fill.
pub(super) fn measure(_: &Bench) -> Result<Vec<Row>> {
    let benched = Benched::start()?;
    let rows = on(&benched);
    let ended = benched.end();
    rows.and_then(|rows| ended.map(|()| rows))
}

fn on(benched: &Benched) -> Result<Vec<Row>> {
    let mut rows = foreign_secrets(benched)?;
    rows.extend(repositories(benched)?);
    rows.extend(tokens(benched)?);
    Ok(rows)
}

fn row(work: &'static str, ours: String, figure: f64, unit: &'static str, most: f64) -> Row {
    Row {
        work,
        ours,
        against: "the control plane on the same cores".to_owned(),
        figure,
        unit,
        reach: Reach::AtMost(most),
    }
}

fn foreign_secrets(benched: &Benched) -> Result<Vec<Row>> {
    let operator = Operator::start("http://127.0.0.1:1")?;
    operator.wait_until_ready()?;
    thread::sleep(Duration::from_secs(5));
    let before = operator.memory()?;
    benched.create("/api/v1/namespaces/default/secrets", SECRETS, |number| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("foreign-{number}")},
            "data": {"blob": "A".repeat(SECRET_SIZE / 3 * 4)},
        })
    })?;
    thread::sleep(Duration::from_secs(10));
    let more = operator.memory()? - before;
    benched.kubectl(&["delete", "secrets", "--all", "--wait=false"])?;
    let ours = format!("{SECRETS} Secrets of {SECRET_SIZE} bytes");
    Ok(vec![row(
        "operator: foreign Secrets",
        ours,
        more,
        "MiB",
        // Of the 5 MiB for five thousand, their share.
        2.0,
    )])
}

fn repositories(benched: &Benched) -> Result<Vec<Row>> {
    let place = benched.place().clone();
    let stub = place.inside({
        let address = place.address();
        move || {
            HttpServer::start_at(address, |_| {
                Response::new(200, "application/json", stubbed())
            })
        }
    })??;
    let operator = Operator::start(&stub.url())?;
    operator.wait_until_ready()?;
    let began = Instant::now();
    benched.apply(&broker(&json!({"replicas": 0})))?;
    benched.create(&path("repositories"), REPOSITORIES, |number| {
        let spec = json!({"brokerRef": {"name": "main"}, "type": "git", "url": "https://git.example.com/acme/lib.git"});
        object("Repository", &format!("r{number}"), &spec)
    })?;
    let sent = began.elapsed();
    wait_for(&operator, "Repository", REPOSITORIES)?;
    let took = began.elapsed().as_secs_f64();
    let ours = format!("{REPOSITORIES}, all sent after {:.0} s", sent.as_secs_f64());
    let rows = vec![
        row(
            "operator: Repositories ready",
            ours.clone(),
            took,
            "s",
            45.0,
        ),
        row(
            "operator: memory at most",
            ours,
            operator.most_memory()?,
            "MiB",
            48.0,
        ),
    ];
    drop(operator);
    benched.kubectl(&["delete", "package-broker", "--all", "--wait=false"])?;
    Ok(rows)
}

fn tokens(benched: &Benched) -> Result<Vec<Row>> {
    let postgres = Postgres::start_at(benched.place().clone())?;
    let garage = Garage::start_at(benched.place())?;
    let [name, owner, password] = postgres.owned_database()?;
    for (secret, data) in [
        ("database", json!({"username": owner, "password": password})),
        (
            "bucket",
            json!({"accessKeyId": Garage::KEY, "secretAccessKey": Garage::SECRET}),
        ),
    ] {
        benched.apply(&json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret, "namespace": "default"}, "stringData": data,
        }))?;
    }
    let operator = Operator::start("http://127.0.0.1:1")?;
    operator.wait_until_ready()?;
    benched.apply(&broker(&json!({
        "replicas": 0,
        "database": {
            "host": postgres.place().address(), "port": postgres.port(), "name": name, "sslMode": "disable",
            "credentialsSecretRef": {"name": "database"},
        },
        "storage": {"s3": {
            "bucket": Garage::BUCKET, "endpoint": garage.endpoint(), "credentialsSecretRef": {"name": "bucket"},
        }},
    })))?;
    wait_for(&operator, "PackageBroker", 1)?;
    let began = Instant::now();
    benched.create(&path("accesstokens"), TOKENS, |number| {
        let spec = json!({"brokerRef": {"name": "main"}});
        object("AccessToken", &format!("t{number}"), &spec)
    })?;
    let sent = began.elapsed();
    wait_for(&operator, "AccessToken", TOKENS)?;
    let took = began.elapsed().as_secs_f64();
    let ours = format!("{TOKENS}, all sent after {:.0} s", sent.as_secs_f64());
    let most = operator.most_memory()?;
    // What was begun may still be ending.
    thread::sleep(Duration::from_secs(20));
    let before = operator.processor_time()?;
    thread::sleep(REST);
    let share = (operator.processor_time()? - before) / REST.as_secs_f64() * 100.0;
    let rest = format!("{TOKENS} AccessTokens at rest");
    Ok(vec![
        row(
            "operator: AccessTokens ready",
            ours.clone(),
            took,
            "s",
            120.0,
        ),
        row("operator: memory at most", ours, most, "MiB", 96.0),
        row("operator: processor at rest", rest, share, "%", 1.0),
    ])
}

fn path(plural: &str) -> String {
    format!("/apis/package.broker/v1alpha1/namespaces/default/{plural}")
}

fn object(kind: &str, name: &str, spec: &Value) -> Value {
    json!({
        "apiVersion": "package.broker/v1alpha1", "kind": kind,
        "metadata": {"name": name, "namespace": "default"}, "spec": spec,
    })
}

fn broker(spec: &Value) -> Value {
    object("PackageBroker", "main", spec)
}

/// What a broker that has synced everything says.
fn stubbed() -> Vec<u8> {
    let repository = |number: usize| {
        json!({
            "name": format!("r{number}"), "generation": 1, "packages": 1, "versions": 1,
            "lastSync": {"started": "2026-01-01T00:00:00Z", "seconds": 1.0, "lasting": false},
        })
    };
    let repositories: Vec<Value> = (0..REPOSITORIES).map(repository).collect();
    json!({"version": "stub", "packages": REPOSITORIES, "repositories": repositories, "accessTokens": []})
        .to_string()
        .into_bytes()
}

/// Waits until so many objects of a kind are ready, as the operator counts them.
fn wait_for(operator: &Operator, kind: &str, number: usize) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let ready = operator.ready(kind)?;
        if ready >= number {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "{ready} of {number} {kind} objects are ready"
        );
        thread::sleep(Duration::from_millis(500));
    }
}

/// Where the operator is beside the cluster.
fn place() -> Result<Place> {
    Place::node(cluster::NAME)
}
