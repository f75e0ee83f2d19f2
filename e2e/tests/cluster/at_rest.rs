//! Registries with all kinds of things, in which there is nothing to do. They come to rest in the suite `cluster`, and stay:
//! the suite `nothing_to_do` looks at what was written meanwhile.

use std::time::{Duration, Instant};

use anyhow::Result;
use jiff::Timestamp;
use package_broker_e2e::garage::Garage;
use serde_json::{Value, json};

use super::{
    installs::Sources,
    manifests::{broker, repository, token, with},
    support::{Kube, Team},
};

/// One pod with a volume, and pods on servers.
const NAMESPACES: [&str; 2] = ["resting", "resting-servers"];
/// On the first namespace: since when all of it rests.
pub(crate) const SINCE: &str = "e2e/at-rest-since";
/// For so long nothing is written where everything has come to rest.
const QUIET: Duration = Duration::from_secs(20);

/// The two registries: those that are there, or new ones.
pub(crate) fn registries() -> [Team; 2] {
    let found = NAMESPACES.map(|name| Kube::get().found(name));
    match found {
        [Some(alone), Some(on_servers)] => [alone, on_servers],
        _ => begin(),
    }
}

/// What the operator wrote in the namespaces of these.
pub(crate) fn writes(teams: &[Team]) -> Result<Vec<(Timestamp, String)>> {
    let mut all = Vec::new();
    for team in teams {
        all.extend(Kube::get().writes_in(team.name())?);
    }
    Ok(all)
}

fn begin() -> [Team; 2] {
    let teams = NAMESPACES.map(|name| Kube::get().namespace(name));
    let sources = Sources::of_debian(&["php-psr-log", "php-monolog"]);
    let [alone, on_servers] = &teams;
    alone
        .apply(&[vec![broker()], things(&sources)].concat())
        .unwrap();
    on_servers
        .apply(&[broker_on_servers(), things(&sources)].concat())
        .unwrap();
    for team in &teams {
        let ready = [
            "packagebroker/main",
            "accesstoken/ci",
            "accesstoken/turning",
        ];
        team.wait_ready(&ready).unwrap();
        team.wait_ready(&sources.objects()).unwrap();
    }
    let mut last = (Instant::now(), 0);
    Team::wait_for("rest", || {
        let count = writes(&teams)?.len();
        if count != last.1 {
            last = (Instant::now(), count);
        }
        Ok((last.0.elapsed() >= QUIET).then_some(()))
    })
    .unwrap();
    let since = format!("{SINCE}={}", Timestamp::now());
    Kube::get()
        .run(&["annotate", "namespace", NAMESPACES[0], &since])
        .unwrap();
    teams
}

/// On those that `cargo xtask` keeps for as long as any suite runs, with the Secrets that lead there.
fn broker_on_servers() -> Vec<Value> {
    let told = |name: &str| std::env::var(format!("E2E_{name}")).unwrap();
    let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
    let key = json!({"accessKeyId": Garage::KEY, "secretAccessKey": Garage::SECRET});
    let servers = json!({
        "replicas": 2,
        "database": {"secretRef": {"name": "database"}},
        "storage": {"s3": {
            "bucket": Garage::BUCKET, "endpoint": told("S3_ENDPOINT"),
            "credentialsSecretRef": {"name": "bucket"},
        }},
        "cache": {"redis": {"secretRef": {"name": "redis"}}},
        "networkPolicy": {"enabled": true},
        "externalUrl": "http://packages.example.com/composer",
        "expose": {"ingress": {}},
    });
    vec![
        secret("database", json!({"url": told("DATABASE_URL")})),
        secret("bucket", key),
        secret("redis", json!({"url": told("REDIS_URL")})),
        with(broker(), &servers),
    ]
}

/// Repositories and tokens in many states, none of which ends by itself within the hours of a run.
fn things(sources: &Sources) -> Vec<Value> {
    let mut all = sources.repositories();
    // A sync that is due is work.
    for repository in &mut all {
        repository["spec"]["sync"] = json!({"interval": "24h"});
    }
    let other = |name| repository(name, "https://git.example.com/acme/lib.git");
    let brought = |from: &str| json!({"existingSecretRef": {"name": from, "key": "token"}});
    let some = json!({"scopes": {"packages": ["psr/*"], "repositories": ["psr-log"]}});
    let secured = json!({"credentialsSecretRef": {"name": "none"}});
    let turning = json!({"rotation": {"interval": "720h", "overlap": "24h"}});
    all.extend([
        with(other("suspended"), &json!({"suspend": true})),
        with(other("orphan"), &json!({"brokerRef": {"name": "nobody"}})),
        with(other("unsecured"), &secured),
        json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "own"},
            "stringData": {"token": "a-token-that-somebody-chose-for-this-0001"},
        }),
        token("ci"),
        with(token("turning"), &turning),
        with(token("ageing"), &json!({"ttl": "720h"})),
        with(token("over"), &json!({"expiresAt": "2026-01-01T00:00:00Z"})),
        with(
            token("later"),
            &json!({"expiresAt": "2099-01-01T00:00:00Z"}),
        ),
        with(token("brought"), &brought("own")),
        with(token("missing"), &brought("none")),
        with(token("suspended"), &json!({"suspend": true})),
        with(
            token("kept"),
            &json!({"secret": {"creationPolicy": "Orphan"}}),
        ),
        with(token("some"), &some),
    ]);
    all
}
