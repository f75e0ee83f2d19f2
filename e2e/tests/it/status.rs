//! `package-broker status`: what a data folder says of its repositories, for people and for scripts.

use std::fs;
use std::path::Path;

use package_broker_e2e::archive::{zip_artifact, zip_tree};
use package_broker_e2e::git::GitRepository;
use package_broker_e2e::http::{Request, Response};
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::process::Finished;
use package_broker_e2e::tree::PackageTree;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::registry::{Registry, manifests, with_token};
use crate::support::status::status;
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, eventually};

/// Four repositories. Three have something that is left out: `lib` (git) the tag v2.0.0, whose `composer.json` is none;
/// `log` (Composer) the version 1.1.0, whose constraint is none; `kit` (artifacts) the file `empty.zip`. `gone` fails.
struct World {
    registry: Registry,
    log: Upstream,
    gone: Upstream,
    folder: TempDir,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lib = git_repository(folder.path());
        let kit = artifacts(folder.path());
        let (log, gone) = (Upstream::listed(), Upstream::listed());
        log.release("acme/log", "1.0.0");
        log.disturb("/p2/acme/log.json", with_bad_version);
        gone.fail("/", 500);
        let all = manifests(&json!({}))
            .repository("lib", "git", &lib, &json!({}))
            .repository("log", "composer", &log.url(), &json!({}))
            .repository("kit", "artifact", &kit, &json!({}))
            .repository("gone", "composer", &gone.url(), &json!({}));
        let all = with_token(
            all,
            "narrow",
            &json!({"scopes": {"packages": ["acme/kit"]}}),
        );
        Self {
            registry: Registry::start(&all),
            log,
            gone,
            folder,
        }
    }

    fn status(&self, more: &[&str]) -> Finished {
        status(self.registry.broker.data(), more)
    }

    fn json(&self) -> Value {
        let status = self.status(&["--output", "json"]).success().unwrap();
        assert_eq!(status.stderr, "");
        serde_json::from_str(&status.stdout).unwrap()
    }
}

fn git_repository(folder: &Path) -> String {
    let repository = GitRepository::create(&folder.join("lib.git")).unwrap();
    let tree = folder.join("lib");
    PackageTree::write(&tree, "acme/lib", "1.0.0", "Acme\\Lib", &json!({})).unwrap();
    repository.commit("main", &tree, "1.0.0", 0).unwrap();
    repository.tag("v1.0.0", "main").unwrap();
    fs::write(tree.join("composer.json"), "{\"name\": ").unwrap();
    repository.commit("broken", &tree, "2.0.0", 1).unwrap();
    repository.tag("v2.0.0", "broken").unwrap();
    repository.file_url()
}

fn artifacts(folder: &Path) -> String {
    let artifacts = folder.join("artifacts");
    fs::create_dir(&artifacts).unwrap();
    let tree = PackageTree::write(
        &folder.join("kit"),
        "acme/kit",
        "1.0.0",
        "Acme\\Kit",
        &json!({}),
    );
    let tree = tree.unwrap();
    fs::write(artifacts.join("kit.zip"), zip_artifact(&tree).unwrap()).unwrap();
    let empty = folder.join("empty");
    fs::create_dir(&empty).unwrap();
    fs::write(empty.join("readme.txt"), "nothing else").unwrap();
    fs::write(artifacts.join("empty.zip"), zip_tree(&empty).unwrap()).unwrap();
    artifacts.to_str().unwrap().to_owned()
}

/// The document with one more version, which requires what cannot be read.
fn with_bad_version(_: &Request, mut response: Response) -> Response {
    if let Ok(mut document) = serde_json::from_slice::<Value>(&response.body) {
        let versions = &mut document["packages"]["acme/log"];
        let mut bad = versions[0].clone();
        bad["version"] = json!("1.1.0");
        bad["require"] = json!({"acme/lib": "newer, please"});
        versions.as_array_mut().unwrap().push(bad);
        response.body = document.to_string().into_bytes();
    }
    response
}

/// The status as JSON without what differs from run to run: times, commits, and how often `gone` was tried.
fn timeless(mut status: Value) -> Value {
    for repository in status["repositories"].as_array_mut().unwrap() {
        let changed = repository.as_object_mut().unwrap().remove("lastChange");
        assert_eq!(changed.is_some(), repository["name"] != "gone");
        assert!(changed.is_none_or(|time| is_time(&time)), "{repository}");
        if let Some(failure) = repository.get_mut("failure") {
            assert!(is_time(&failure["at"].take()), "{failure}");
            assert!(failure["count"].take().as_u64() >= Some(1), "{failure}");
        }
        for skipped in repository
            .get_mut("skipped")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            let reference = skipped.as_object_mut().unwrap().remove("reference");
            let commit = |text: &Value| text.as_str().is_some_and(|text| text.len() == 40);
            assert!(reference.as_ref().is_none_or(commit), "{reference:?}");
        }
    }
    status
}

/// RFC 3339 in UTC, such as `2026-11-25T02:58:52.107Z`.
fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() >= 20 && text.as_bytes()[10] == b'T' && text.ends_with('Z')
}

fn expected(world: &World) -> Value {
    let not_json = "composer.json: EOF while parsing a value at line 1 column 9";
    let left_out = |version| json!({"package": "acme/lib", "version": version, "reason": not_json});
    let failure = format!("{}/packages.json: HTTP 500", world.gone.url());
    let repository = |name: &str, kind: &str, url: String, state: &str, versions: u32| {
        json!({
            "name": name, "type": kind, "url": url, "state": state,
            "packages": versions.min(1), "versions": versions,
        })
    };
    let url = |path: &str| world.folder.path().join(path).display().to_string();
    let mut gone = repository("gone", "composer", world.gone.url(), "Failing", 0);
    gone["failure"] = json!({"at": null, "count": null, "message": failure});
    let mut kit = repository("kit", "artifact", url("artifacts"), "Synced", 1);
    kit["skipped"] = json!([{
        "version": "empty.zip",
        "reason": "it has no composer.json at its top or in its single top folder",
    }]);
    let mut lib = repository(
        "lib",
        "git",
        format!("file://{}", url("lib.git")),
        "Synced",
        2,
    );
    lib["skipped"] = json!([left_out("v2.0.0"), left_out("dev-broken")]);
    let mut log = repository("log", "composer", world.log.url(), "Synced", 1);
    log["skipped"] = json!([{
        "package": "acme/log",
        "version": "1.1.0",
        "reason": "\"newer, please\", the constraint of \"acme/lib\" in \"require\", is not a version constraint",
    }]);
    // The tokens `all` and `narrow`, and the one that every set of manifests has.
    json!({"repositories": [gone, kit, lib, log], "packages": 3, "tokens": 3})
}

#[test]
fn status_says_the_same_of_a_running_broker_and_of_a_stopped_one() {
    let mut world = World::start();
    let expected = expected(&world);
    assert_eq!(timeless(world.json()), expected);
    assert_table(&world);
    let ended = world.registry.broker.terminate(PATIENCE).unwrap();
    assert!(ended.success(), "{ended}");
    assert_eq!(timeless(world.json()), expected);
    assert_table(&world);
}

fn assert_table(world: &World) {
    let status = world.status(&[]).success().unwrap();
    let explicit = world.status(&["-o", "table"]).success().unwrap();
    assert_eq!(status.stdout.lines().next(), explicit.stdout.lines().next());
    let rows: Vec<Vec<&str>> = status
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let head = [
        "REPOSITORY",
        "TYPE",
        "STATE",
        "PACKAGES",
        "VERSIONS",
        "SKIPPED",
        "LAST",
        "CHANGE",
        "URL",
    ];
    assert_eq!(rows[0], head, "{status}");
    for (row, start) in rows[1..5].iter().zip([
        ["gone", "composer", "Failing", "0", "0", "0"],
        ["kit", "artifact", "Synced", "1", "1", "1"],
        ["lib", "git", "Synced", "1", "2", "2"],
        ["log", "composer", "Synced", "1", "1", "1"],
    ]) {
        assert_eq!(row[..6], start, "{status}");
    }
    assert_eq!(rows[1][6..], ["-", &world.gone.url()], "{status}");
    let column = |line: &str| line.rfind("   ").map(|end| end + 3);
    let columns: Vec<_> = status.stdout.lines().take(5).map(column).collect();
    assert!(columns.iter().all(|at| *at == columns[0]), "{status}");
    for line in [
        "3 packages served, 3 tokens",
        "kit: - empty.zip: it has no composer.json",
        "lib: acme/lib v2.0.0: composer.json: EOF while parsing",
        "lib: acme/lib dev-broken: composer.json: EOF while parsing",
        "log: acme/log 1.1.0: \"newer, please\", the constraint of \"acme/lib\"",
    ] {
        assert!(
            status.stdout.lines().any(|said| said.starts_with(line)),
            "no {line} in {status}"
        );
    }
    let failed =
        |line: &str| line.starts_with("gone failed ") && line.ends_with("/packages.json: HTTP 500");
    assert!(status.stdout.lines().any(failed), "{status}");
}

/// What a status says of one repository.
fn repository(status: &Value, name: &str) -> Value {
    let all = status["repositories"].as_array().unwrap();
    let found = all.iter().find(|repository| repository["name"] == name);
    found.cloned().unwrap_or_default()
}

/// A change of settings that has a repository synced, and nothing else.
fn synced_anew(manifests: Manifests, repository: &str, seconds: u32) -> Manifests {
    let timeout = json!({"sync": {"timeout": format!("{seconds}s")}});
    manifests.patched("Repository", repository, &timeout)
}

#[test]
fn status_follows_what_happens() {
    let mut world = World::start();
    let before = world.json();
    world.log.mend("/p2/acme/log.json");
    world.log.release("acme/log", "1.2.0");
    world.gone.mend("/");
    world.gone.release("globex/tool", "1.0.0");
    let synced = ["synced", "repository=kit"];
    let syncs = world.registry.said(&synced);
    let next = ["kit", "log", "gone"]
        .iter()
        .fold(world.registry.manifests().clone(), |all, name| {
            synced_anew(all, name, 90)
        });
    world.registry.edit(&next);
    eventually("the syncs", || {
        let status = world.json();
        let log = repository(&status, "log")["versions"] == 2;
        let gone = repository(&status, "gone")["state"] == "Synced";
        (log && gone && world.registry.said(&synced) > syncs).then_some(())
    });
    let now = world.json();
    // A sync that finds nothing new changes nothing, not even a time.
    assert_eq!(repository(&now, "kit"), repository(&before, "kit"));
    let (log, gone) = (repository(&now, "log"), repository(&now, "gone"));
    assert_eq!(log["skipped"], Value::Null, "{log}");
    assert_ne!(log["lastChange"], repository(&before, "log")["lastChange"]);
    assert_eq!(gone["failure"], Value::Null, "{gone}");
    assert_eq!(gone["packages"], 1, "{gone}");
}

#[test]
fn status_keeps_what_was_read_before_a_failure_and_forgets_what_was_removed() {
    let mut world = World::start();
    world.log.fail("/", 503);
    let next = world.registry.manifests().clone();
    let next = next
        .without("Repository", "kit")
        .without("AccessToken", "narrow");
    world.registry.edit(&synced_anew(next, "log", 90));
    eventually("the failure", || {
        (repository(&world.json(), "log")["state"] == "Failing").then_some(())
    });
    let now = world.json();
    let log = repository(&now, "log");
    assert_eq!(
        (&log["packages"], &log["versions"]),
        (&json!(1), &json!(1)),
        "{log}"
    );
    assert_eq!(log["skipped"][0]["version"], "1.1.0", "{log}");
    let message = log["failure"]["message"].as_str().unwrap();
    assert!(message.contains("HTTP 503"), "{log}");
    assert_eq!(repository(&now, "kit"), Value::Null);
    assert_eq!((&now["packages"], &now["tokens"]), (&json!(2), &json!(2)));
}

#[test]
fn what_is_no_data_folder_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(
        damaged.join("state.db"),
        "this is no database, but long enough for its head".repeat(99),
    )
    .unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    for (data, said) in [
        (
            folder.path().to_owned(),
            "is no data folder: there is no state.db in it; name the one that `run` was given",
        ),
        (folder.path().join("nowhere"), "is no data folder"),
        (file, "is no data folder"),
        (damaged, "put back a backup of the file"),
    ] {
        for output in ["table", "json"] {
            let status = status(&data, &["--output", output]);
            assert_eq!(status.code(), 1, "{status}");
            assert_eq!(status.stdout, "", "{status}");
            let place = data.display().to_string();
            assert!(
                status.stderr.starts_with("error: ") && status.stderr.contains(&place),
                "{status}"
            );
            assert!(status.stderr.contains(said), "{status}");
        }
    }
    assert!(!folder.path().join("nowhere").exists());
    let wrong = status(folder.path(), &["--output", "xml"]);
    assert_eq!(wrong.code(), 2, "{wrong}");
    assert!(wrong.stderr.contains("table, json"), "{wrong}");
}
