//! Replicas serve the same, and follow what other processes change.

use std::time::Duration;

use jiff::Timestamp;
use package_broker_e2e::broker::Broker;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::http::{Answer, get};
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::balancer::Balancer;
use super::installation::Installation;
use crate::support::gate::Gate;
use crate::support::metrics::Metrics;
use crate::support::registry::{archive_in, basic, expanded, manifests, secret, with_token};
use crate::support::upstream::{Upstream, archive, archive_path};
use crate::support::{assert_problem, eventually, json as json_of, versions};

pub(super) const URL: &str = "https://packages.example.com/team";

/// GET as a token made by [`with_token`].
pub(super) fn ask(replica: &Broker, token: &str, path: &str) -> Answer {
    let authorization = basic("token", &secret(token));
    get(
        &format!("{}{path}", replica.url()),
        &[("Authorization", &authorization)],
    )
    .unwrap()
}

pub(super) fn with_upstream(upstream: &Upstream) -> Manifests {
    manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}))
}

pub(super) fn ready(replica: &Broker) {
    eventually("a replica that is ready", || {
        let answer = get(&format!("{}/readyz", replica.metrics_url()), &[]).unwrap();
        (answer.status == 200).then_some(())
    });
}

#[test]
fn replicas_serve_the_same_and_follow_every_change() {
    follow_every_change(&Installation::new());
}

#[test]
fn they_do_so_with_nothing_but_a_database() {
    follow_every_change(&Installation::without_redis());
}

fn follow_every_change(installation: &Installation) {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let manifests = with_upstream(&upstream);
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    installation.apply(&manifests, URL);
    let report = installation.sync("team");
    assert_eq!(report["changed"], 1);
    let path = "/p2/acme/lib.json";
    let documents = replicas.each_ref().map(|replica| {
        ready(replica);
        eventually("the package", || {
            let answer = ask(replica, "all", path);
            (answer.status == 200 && !versions(&json_of(&answer), "acme/lib").is_empty())
                .then_some(answer)
        })
    });
    let date = |answer: &Answer| answer.header("last-modified").map(str::to_owned);
    assert_eq!(documents[0].body, documents[1].body);
    assert_eq!(date(&documents[0]), date(&documents[1]));

    upstream.release("acme/lib", "1.1.0");
    assert_eq!(installation.sync("team")["changed"], 1);
    for (replica, before) in replicas.iter().zip(&documents) {
        let after = eventually("the new version", || {
            let answer = ask(replica, "all", path);
            let newest = versions(&json_of(&answer), "acme/lib").first().cloned();
            (newest.as_deref() == Some("1.1.0")).then_some(answer)
        });
        assert_ne!(date(&after), date(before));
    }
    let archive = ask(&replicas[0], "all", "/dist/acme/lib/1.1.0.0/x.zip");
    assert_ne!(archive.status, 500);

    // A new token works, one whose scope is narrowed sees less, and a withdrawn one does not work.
    let more = with_token(manifests.clone(), "second", &json!({}));
    installation.apply(&more, URL);
    for replica in &replicas {
        eventually("the new token", || {
            (ask(replica, "second", path).status == 200).then_some(())
        });
    }
    let elsewhere = json!({"scopes": {"packages": ["globex/*"]}});
    let narrow = with_token(manifests.clone(), "second", &elsewhere);
    installation.apply(&narrow, URL);
    for replica in &replicas {
        eventually("the narrower view", || {
            (ask(replica, "second", path).status == 404).then_some(())
        });
    }
    installation.apply(&manifests, URL);
    for replica in &replicas {
        eventually("the end of the token", || {
            (ask(replica, "second", path).status == 401).then_some(())
        });
        assert_eq!(ask(replica, "all", path).status, 200);
    }
}

#[test]
fn a_repository_that_is_to_stay_is_served_when_it_is_no_longer_declared() {
    let installation = Installation::without_redis();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let other = Upstream::listed();
    other.release("globex/tool", "1.0.0");
    let stay = json!({"deletionPolicy": "Retain"});
    let both = with_upstream(&upstream).repository("other", "composer", &other.url(), &stay);
    installation.apply(&both, URL);
    installation.sync("team");
    installation.sync("other");
    installation.apply(&with_upstream(&upstream), URL);
    let replica = installation.serve("one");
    ready(&replica);
    assert_eq!(ask(&replica, "all", "/p2/globex/tool.json").status, 200);
    installation.apply(&with_upstream(&upstream), URL);
    assert_eq!(ask(&replica, "all", "/p2/globex/tool.json").status, 200);
}

/// Whoever declared a token may use it at once, with every replica: none has to be told of it first.
#[test]
fn a_token_is_taken_from_the_moment_it_is_declared() {
    let installation = Installation::without_redis();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let replica = installation.serve("one");
    ready(&replica);
    for number in 0..20 {
        let name = format!("fresh{number}");
        installation.sql(&format!(
            "INSERT INTO tokens SELECT '{name}', sha256('{}'::bytea), scope, expires_at, floor_stamp FROM tokens WHERE name = 'all'; \
             UPDATE clock SET tokens = tokens + 1",
            secret(&name)
        ));
        assert_eq!(ask(&replica, &name, "/packages.json").status, 200, "{name}");
    }
    assert_eq!(ask(&replica, "nobody", "/packages.json").status, 401);
}

#[test]
fn a_token_ends_everywhere_at_its_time() {
    let installation = Installation::without_redis();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let end = Timestamp::from_second(Timestamp::now().as_second() + 45).unwrap();
    let short = json!({"expiresAt": end.to_string()});
    let manifests = with_token(with_upstream(&upstream), "short", &short);
    installation.apply(&manifests, URL);
    installation.sync("team");
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    replicas.iter().for_each(ready);
    for replica in &replicas {
        assert_eq!(ask(replica, "short", "/p2/acme/lib.json").status, 200);
    }
    let left = end.duration_since(Timestamp::now());
    std::thread::sleep(Duration::try_from(left).unwrap_or_default());
    for replica in &replicas {
        let answer = ask(replica, "short", "/p2/acme/lib.json");
        assert_problem(&answer, 401, "after the end");
        assert!(answer.text().contains("has expired"), "{}", answer.text());
        assert_eq!(ask(replica, "all", "/p2/acme/lib.json").status, 200);
    }
}

#[test]
fn an_archive_fetched_by_one_is_served_by_all() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    replicas.iter().for_each(ready);
    let document = json_of(&ask(&replicas[0], "all", "/p2/acme/lib.json"));
    let url = document["packages"]["acme/lib"][0]["dist"]["url"].as_str();
    let path = url.unwrap().strip_prefix(URL).unwrap().to_owned();
    let bodies: Vec<Answer> = std::thread::scope(|scope| {
        let asking: Vec<_> = replicas
            .iter()
            .flat_map(|replica| [replica; 4])
            .map(|replica| scope.spawn(|| ask(replica, "all", &path)))
            .collect();
        asking
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .collect()
    });
    for body in &bodies {
        assert_eq!(body.status, 200, "{}", body.text());
        assert_eq!(body.body, bodies[0].body);
    }
    assert_eq!(upstream.asked(&archive_path("acme/lib", "1.0.0")), 1);
}

#[test]
fn an_archive_whose_download_died_with_its_replica_is_fetched_by_another() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let zip = archive("acme/lib", "1.0.0", 100_000);
    upstream.publish("acme/lib", "1.0.0", &zip, true);
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let [mut first, second] = ["one", "two"].map(|name| installation.serve(name));
    [&first, &second].into_iter().for_each(ready);
    let document = json_of(&ask(&second, "all", "/p2/acme/lib.json"));
    let path = archive_in(&expanded(&document, "acme/lib")[0]);
    let gate = Gate::before(&upstream, &archive_path("acme/lib", "1.0.0"));
    gate.shut();
    let authorization = basic("token", &secret("all"));
    let cold = format!("{}{path}", first.url());
    let broken = std::thread::spawn(move || get(&cold, &[("Authorization", &authorization)]));
    gate.wait_for(1);
    assert_eq!(installation.sql("SELECT count(*) FROM claims"), "1");
    first.kill();
    assert!(
        broken.join().unwrap().is_err(),
        "nobody was there to answer"
    );
    gate.open();
    // Clients wait for less than a lease in this test; what is left of it after this, they wait.
    std::thread::sleep(Duration::from_secs(10));
    let answer = ask(&second, "all", &path);
    assert_eq!(Metrics::read_of(&second).of("archive_waits_total"), 1);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.body, zip);
    assert_eq!(gate.arrived(), 2);
    assert_eq!(installation.objects().len(), 1);
}

#[test]
fn composer_installs_through_a_balancer() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    let addresses = replicas
        .each_ref()
        .map(|replica| replica.url().trim_start_matches("http://").to_owned());
    let balancer = Balancer::start(&addresses);
    let manifests =
        Manifests::on_loopback().repository("team", "composer", &upstream.url(), &json!({}));
    installation.apply(&manifests, &balancer.url());
    installation.sync("team");
    replicas.iter().for_each(ready);
    let folder = tempfile::tempdir().unwrap();
    let project = ComposerProject::create(
        ComposerVersion::Debian,
        folder.path(),
        &balancer.url(),
        &json!({"require": {"acme/lib": "^1.0"}}),
    )
    .unwrap();
    project
        .authenticate(&installation.auth_json(Manifests::TOKEN))
        .unwrap();
    let installed = eventually("packages everywhere", || {
        let installed = project.composer(&["install"]).unwrap();
        installed.status.success().then_some(installed)
    });
    assert!(
        installed.status.success(),
        "{}\n{}",
        installed.stderr,
        balancer.log()
    );
}

#[test]
fn a_repository_removed_during_its_sync_leaves_nothing() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    for number in 0..60 {
        upstream.release(&format!("acme/lib{number}"), "1.0.0");
    }
    upstream.delay(Duration::from_millis(100));
    let gate = Gate::before(&upstream, "/p2/");
    let none = manifests(&json!({}));
    installation.apply(&with_upstream(&upstream), URL);
    let replica = installation.serve("one");
    let list = || json_of(&ask(&replica, "all", "/list.json"))["packageNames"].clone();
    let count = || list().as_array().map_or(0, Vec::len);
    std::thread::scope(|scope| {
        let syncing = scope.spawn(|| installation.run(&["sync", "team"]));
        eventually("the first packages", || (count() > 0).then_some(()));
        // The rest comes once the repository is gone.
        gate.shut();
        installation.apply(&none, URL);
        gate.open();
        let finished = syncing.join().unwrap();
        assert_eq!(finished.code(), 1, "{}", finished.stdout);
    });
    eventually("the end of the packages", || (count() == 0).then_some(()));
    let status = installation.run(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["packages"], 0, "{status}");
    // What is stored is what is served: it does not come back with the manifest before it is read.
    let again = installation.run(&["sync", "team"]);
    assert_eq!(again.code(), 1);
}
