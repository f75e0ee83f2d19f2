//! The commands of an installation on servers: what they do, say, and end with.

use std::time::Duration;

use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::postgres::Postgres;
use package_broker_e2e::process::Finished;
use serde_json::json;

use super::installation::{Installation, generate_keys, report};
use crate::support::eventually;
use crate::support::metrics::Metrics;
use crate::support::registry::manifests;
use crate::support::upstream::Upstream;

const URL: &str = "https://packages.example.com/team";

#[track_caller]
fn assert_fails(finished: &Finished, says: &str) {
    assert_eq!(finished.code(), 1, "{}", finished.stdout);
    assert!(finished.stderr.contains(says), "{}", finished.stderr);
}

#[test]
fn a_sync_reports_in_its_last_line_and_its_exit_code() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/kit", "1.0.0");
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    installation.apply(&all, URL);

    let file = installation.path("report.json");
    let finished = installation.run(&["sync", "team", "--report", file.to_str().unwrap()]);
    assert_eq!(finished.code(), 0, "{}", finished.stderr);
    let first = report(&finished);
    assert_eq!(first["repository"], "team");
    assert_eq!(first["result"], "succeeded");
    assert_eq!(
        (first["read"].as_u64(), first["changed"].as_u64()),
        (Some(2), Some(2))
    );
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&written).unwrap(),
        first
    );

    let again = installation.sync("team");
    assert_eq!(
        (again["changed"].as_u64(), again["removed"].as_u64()),
        (Some(0), Some(0))
    );

    upstream.fail("/", 500);
    let finished = installation.run(&["sync", "team"]);
    let failed = report(&finished);
    assert_eq!(finished.code(), 1);
    assert_eq!(failed["result"], "failed");
    assert!(
        failed["error"].as_str().unwrap().contains("500"),
        "{failed}"
    );

    let finished = installation.run(&["sync", "nobody"]);
    assert_eq!(finished.code(), 1);
    let failed = report(&finished);
    assert!(
        failed["error"]
            .as_str()
            .unwrap()
            .contains("there are: team"),
        "{failed}"
    );
}

#[test]
fn a_suspended_repository_is_not_read_and_what_has_no_effect_is_said() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let suspended = json!({"suspend": true, "sync": {"interval": "5m"}});
    let broker = json!({"volume": {"size": "5Gi"}});
    let all = manifests(&broker).repository("team", "composer", &upstream.url(), &suspended);
    let applied = installation.apply(&all, URL);
    for (field, why) in [
        ("spec.volume", "no effect outside of a cluster"),
        ("spec.sync.interval", "call `package-broker sync team`"),
    ] {
        assert!(applied.stderr.contains(field), "{}", applied.stderr);
        assert!(applied.stderr.contains(why), "{}", applied.stderr);
    }
    let finished = installation.run(&["sync", "team"]);
    assert_eq!(finished.code(), 1);
    let error = report(&finished)["error"].to_string();
    assert!(error.contains("take spec.suspend away"), "{error}");
    assert_eq!(upstream.asked("/packages.json"), 0);
}

#[test]
fn of_two_syncs_of_a_repository_one_leaves_it_to_the_other() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.delay(Duration::from_millis(800));
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    installation.apply(&all, URL);
    let both = std::thread::scope(|scope| {
        let one = scope.spawn(|| installation.run(&["sync", "team"]));
        let two = scope.spawn(|| installation.run(&["sync", "team"]));
        [one.join().unwrap(), two.join().unwrap()]
    });
    let mut ends = both.each_ref().map(|finished| {
        let result = report(finished)["result"].as_str().unwrap().to_owned();
        (finished.code(), result)
    });
    ends.sort();
    assert_eq!(
        ends,
        [(0, "succeeded".to_owned()), (75, "elsewhere".to_owned())]
    );
}

#[test]
fn what_is_missing_is_named_with_the_command_that_makes_it() {
    let installation = Installation::without_redis();
    let empty = installation.postgres.database().unwrap();
    let settings = installation.settings("other", &json!({"database": {"url": empty}}));
    let settings = settings.to_str().unwrap();
    let run = |arguments: &[&str]| {
        let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        package_broker_e2e::broker::package_broker(&arguments).unwrap()
    };
    assert_fails(
        &run(&["serve", "--config", settings]),
        "package-broker migrate",
    );
    // Nothing is declared.
    let synced = installation.run(&["sync", "team"]);
    assert!(
        report(&synced)["error"]
            .as_str()
            .unwrap()
            .contains("package-broker apply")
    );
    // Without a public URL.
    let file = installation.path("nowhere.yaml");
    Manifests::on_loopback().write_file(&file).unwrap();
    assert_fails(
        &installation.run(&["apply", "-f", file.to_str().unwrap()]),
        "PackageBroker \"broker\": spec.externalUrl is required",
    );
}

#[test]
fn migrations_may_run_again_and_at_once() {
    let installation = Installation::with(None, Postgres::shared().unwrap());
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| installation.run(&["migrate"])))
            .collect();
        for migrated in all {
            let migrated = migrated.join().unwrap();
            assert_eq!(migrated.code(), 0, "{}", migrated.stderr);
        }
    });
}

#[test]
fn status_shows_what_is_in_the_database() {
    let installation = Installation::without_redis();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    installation.apply(&all, URL);
    installation.sync("team");
    let status = installation.run(&["status", "--output", "json"]);
    let status: serde_json::Value = serde_json::from_str(&status.stdout).unwrap();
    assert_eq!(status["repositories"][0]["name"], "team");
    assert_eq!(status["repositories"][0]["packages"], 1);
}

#[test]
fn keys_are_rotated_and_the_old_one_can_go() {
    let installation = Installation::without_redis();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let all = manifests(&json!({}))
        .secret(
            "upstream",
            &json!({"username": "me", "password": "hush-hush"}),
        )
        .repository(
            "team",
            "composer",
            &upstream.url(),
            &json!({"credentialsSecretRef": {"name": "upstream"}}),
        );
    installation.apply(&all, URL);
    installation.sync("team");
    let keys = installation.path("keys");
    let before = std::fs::read_to_string(&keys).unwrap();
    let generated = generate_keys(&keys);
    assert_eq!(generated.code(), 0, "{}", generated.stderr);
    let rotated = installation.run(&["keys", "rotate"]);
    assert_eq!(rotated.code(), 0, "{}", rotated.stderr);
    assert!(
        rotated.stdout.contains("may be dropped"),
        "{}",
        rotated.stdout
    );
    let recorded = installation.run(&["audit", "--action", "credentials.resealed"]);
    let record: serde_json::Value = serde_json::from_str(&recorded.stdout).unwrap();
    assert_eq!(record["subject"], "team");
    assert_eq!(
        (&record["actor"], &record["outcome"]),
        (&"broker".into(), &"ok".into())
    );
    // With the new key alone everything still works.
    let ring = std::fs::read_to_string(&keys).unwrap();
    let old = before.lines().find(|line| !line.starts_with('#')).unwrap();
    assert!(ring.contains(old));
    std::fs::write(&keys, ring.replace(old, "")).unwrap();
    installation.sync("team");
    // With the old key alone nothing can be read, and it says why.
    std::fs::write(&keys, before).unwrap();
    let replica = installation.serve("one");
    eventually("a replica that says so", || {
        let unusable = Metrics::read_of(&replica).gauge("repositories_unusable");
        (unusable > 0.0).then_some(())
    });
    let synced = installation.run(&["sync", "team"]);
    assert_eq!(synced.code(), 1);
    assert!(synced.stderr.contains("put"), "{}", synced.stderr);
    for text in [&synced.stderr, &rotated.stderr, &rotated.stdout] {
        assert!(!text.contains("hush-hush"), "{text}");
    }
}

#[test]
fn config_shows_every_value_with_its_source_and_no_secret() {
    let installation = Installation::new();
    let shown = installation.run(&["config"]);
    assert_eq!(shown.code(), 0, "{}", shown.stderr);
    for expected in [
        "database.maxConnections",
        "10",
        "default",
        "command.settings.json:1",
        "the file ",
    ] {
        assert!(
            shown.stdout.contains(expected),
            "{expected}: {}",
            shown.stdout
        );
    }
    assert!(
        !shown.stdout.contains("not/a+real=secret"),
        "{}",
        shown.stdout
    );
}
