//! Archives by links to the bucket.

use std::time::Duration;

use package_broker_e2e::broker::{Broker, package_broker};
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::http::{Answer, Call, get};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use super::installation::Installation;
use super::serving::ready;
use crate::servers::s3::{S3Server, Seen};
use crate::support::registry::{URL, basic, manifests, secret, with_token};
use crate::support::upstream::{Upstream, archive_path};
use crate::support::{eventually, json as json_of, sha1_of};

const PACKAGE: &str = "acme/lib";

fn with_links(upstream: &Upstream) -> Manifests {
    manifests(&json!({"archives": {"redirect": true}})).repository(
        "team",
        "composer",
        &upstream.url(),
        &json!({}),
    )
}

/// One replica that redirects, and what `acme/lib` 1.0.0 is called there.
struct World {
    installation: Installation,
    upstream: Upstream,
    replica: Broker,
    path: String,
    checksum: String,
}

impl World {
    fn start(more: impl FnOnce(Manifests) -> Manifests) -> Self {
        let installation = Installation::without_redis();
        let upstream = Upstream::listed();
        upstream.release(PACKAGE, "1.0.0");
        installation.apply(&more(with_links(&upstream)), URL);
        installation.sync("team");
        let replica = installation.serve_with("one", &json!({"log": "trace"}));
        ready(&replica);
        let dist = dist(&replica);
        let path = dist["url"].as_str().unwrap().strip_prefix(URL).unwrap();
        Self {
            path: path.to_owned(),
            checksum: dist["shasum"].as_str().unwrap().to_owned(),
            installation,
            upstream,
            replica,
        }
    }

    fn ask(&self, method: &str, token: &str) -> Answer {
        ask(&self.replica, method, token, &self.path)
    }
}

fn ask(replica: &Broker, method: &str, token: &str, path: &str) -> Answer {
    let call = Call::new(method, &format!("{}{path}", replica.url()));
    let call = call.header("Authorization", &basic("token", &secret(token)));
    call.send().unwrap()
}

fn dist(replica: &Broker) -> Value {
    let document = json_of(&ask(replica, "GET", "all", "/p2/acme/lib.json"));
    document["packages"][PACKAGE][0]["dist"].clone()
}

/// Where an answer leads, if it does so as a link has to.
#[track_caller]
fn link(answer: &Answer) -> String {
    assert_eq!(answer.status, 302, "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert!(answer.body.is_empty());
    answer.header("location").unwrap().to_owned()
}

/// How long a link is good for, in seconds.
fn seconds(link: &str) -> u64 {
    let parameter = link
        .split(['?', '&'])
        .find_map(|parameter| parameter.strip_prefix("X-Amz-Expires="));
    parameter.unwrap().parse().unwrap()
}

fn signature(link: &str) -> &str {
    link.split_once("X-Amz-Signature=").unwrap().1
}

#[test]
fn a_cold_archive_is_stored_and_then_linked() {
    let world = World::start(|manifests| manifests);
    let asked = || world.upstream.asked(&archive_path(PACKAGE, "1.0.0"));
    assert_eq!(asked(), 0);
    let bytes = link(&world.ask("GET", "all"));
    assert_eq!(asked(), 1);
    let head = link(&world.ask("HEAD", "all"));
    assert!(
        bytes.starts_with(&world.installation.s3.endpoint()),
        "{bytes}"
    );
    assert_eq!((seconds(&bytes), seconds(&head)), (60, 60));

    let archive = get(&bytes, &[]).unwrap();
    assert_eq!(archive.status, 200);
    assert_eq!(sha1_of(&archive.body), world.checksum);
    let looked = Call::new("HEAD", &head).send().unwrap();
    let length = looked.header("content-length").unwrap();
    assert_eq!(looked.status, 200);
    assert_eq!(length, archive.body.len().to_string());

    // Neither the log nor the metrics have what a link is made of.
    let told = get(&format!("{}/metrics", world.replica.metrics_url()), &[]).unwrap();
    assert!(
        told.text().contains("archive_links_total 2"),
        "{}",
        told.text()
    );
    let log = world.replica.log();
    assert!(log.contains(&world.path), "requests are logged");
    for link in [&bytes, &head] {
        let secrets = [signature(link), "X-Amz-Signature", S3Server::SECRET];
        for secret in secrets {
            assert!(!log.contains(secret), "{secret}");
        }
    }
}

#[test]
fn a_link_is_given_to_nobody_who_may_not_have_the_archive() {
    let narrow = json!({"scopes": {"packages": ["other/*"]}});
    let world = World::start(|manifests| with_token(manifests, "narrow", &narrow));
    for _ in 0..2 {
        for (token, status) in [("narrow", 404), ("nobody", 401)] {
            for method in ["GET", "HEAD"] {
                let answer = world.ask(method, token);
                assert_eq!(answer.status, status, "{method} {token}");
                assert_eq!(answer.header("location"), None, "{method} {token}");
            }
        }
        // And not either once it is stored.
        link(&world.ask("GET", "all"));
    }
    let other = world.path.replace("1.0.0.0", "9.0.0.0");
    let answer = ask(&world.replica, "GET", "all", &other);
    assert_eq!((answer.status, answer.header("location")), (404, None));
}

#[test]
fn a_link_ends_with_the_token() {
    let now = std::time::SystemTime::now();
    let since = now.duration_since(std::time::UNIX_EPOCH).unwrap();
    let end = since + Duration::from_secs(40);
    let world = World::start(|manifests| {
        let expires = json!({"expiresAt": timestamp(end.as_secs())});
        with_token(manifests, "brief", &expires)
    });
    let link = link(&world.ask("GET", "brief"));
    let now = std::time::SystemTime::now();
    let left = end.saturating_sub(now.duration_since(std::time::UNIX_EPOCH).unwrap());
    assert!((1..40).contains(&seconds(&link)), "{link}");
    // The time of the signature is not after now.
    assert!(seconds(&link) <= left.as_secs() + 1, "{link} {left:?}");
}

/// RFC 3339 of a time in seconds after 1970.
fn timestamp(seconds: u64) -> String {
    let date = std::process::Command::new("date")
        .args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%SZ"])
        .output()
        .unwrap();
    String::from_utf8(date.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_lost_archive_is_fetched_again_before_it_is_linked() {
    let world = World::start(|manifests| manifests);
    let first = link(&world.ask("GET", "all"));
    let key = first
        .strip_prefix(&world.installation.s3.endpoint())
        .unwrap();
    let key = key.split('?').next().unwrap().trim_start_matches('/');
    world.installation.s3.remove(key);
    assert_eq!(get(&first, &[]).unwrap().status, 404);
    let again = link(&world.ask("GET", "all"));
    assert_eq!(sha1_of(&get(&again, &[]).unwrap().body), world.checksum);
}

#[test]
fn redirects_come_and_go_with_the_field() {
    let world = World::start(|manifests| manifests);
    link(&world.ask("GET", "all"));
    let without = with_links(&world.upstream).patched(
        "PackageBroker",
        Manifests::BROKER,
        &json!({"archives": null}),
    );
    world.installation.apply(&without, URL);
    let archive = eventually("the archive through the broker", || {
        let answer = world.ask("GET", "all");
        (answer.status == 200).then_some(answer)
    });
    assert_eq!(sha1_of(&archive.body), world.checksum);
}

#[test]
fn composer_installs_from_the_bucket() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    let replica = installation.serve("one");
    let manifests = Manifests::on_loopback()
        .repository("team", "composer", &upstream.url(), &json!({}))
        .patched(
            "PackageBroker",
            Manifests::BROKER,
            &json!({"archives": {"redirect": true}}),
        );
    installation.apply(&manifests, replica.url());
    installation.sync("team");
    ready(&replica);
    let folder = tempfile::tempdir().unwrap();
    let project = ComposerProject::create(
        ComposerVersion::Debian,
        folder.path(),
        replica.url(),
        &json!({"require": {"acme/lib": "^1.0"}}),
    )
    .unwrap();
    let auth = installation.auth_json(Manifests::TOKEN);
    project.authenticate(&auth).unwrap();
    let before = installation.s3.take_requests();
    assert!(before.iter().all(|seen| !is_linked(seen)));
    let installed = project.composer(&["install", "--prefer-dist"]).unwrap();
    assert!(installed.status.success(), "{}", installed.stderr);
    let vendor = project.directory().join("vendor/acme/lib/composer.json");
    assert!(vendor.is_file());
    let seen = installation.s3.take_requests();
    let linked: Vec<&Seen> = seen.iter().filter(|seen| is_linked(seen)).collect();
    assert_eq!(linked.len(), 1, "composer fetched it from the bucket");
    // What the client has for the broker stays with the broker.
    assert!(!linked[0].headers.contains_key("authorization"));
}

fn is_linked(seen: &Seen) -> bool {
    seen.query.contains("X-Amz-Signature=")
}

#[test]
fn run_refuses_what_it_cannot_do() {
    let folder = tempfile::tempdir().unwrap();
    let upstream = Upstream::listed();
    let file = folder.path().join("manifests.yaml");
    with_links(&upstream).write_file(&file).unwrap();
    let data = folder.path().join("data");
    let finished = package_broker(&[
        "run".as_ref(),
        "-f".as_ref(),
        file.as_os_str(),
        "--data".as_ref(),
        data.as_os_str(),
        "--listen=127.0.0.1:0".as_ref(),
        "--metrics-listen=127.0.0.1:0".as_ref(),
    ])
    .unwrap();
    assert_eq!(finished.code(), 1);
    let says = "PackageBroker \"broker\": spec.archives.redirect: ";
    assert!(finished.stderr.contains(says), "{}", finished.stderr);
    assert!(finished.stderr.contains("package-broker serve"));
}
