//! Which versions a Repository takes: `spec.versions` and `spec.git.refs`.

use std::fs;

use package_broker_e2e::git::GitServer;
use serde_json::{Value, json};

use super::reading;
use crate::support::eventually;
use crate::support::registry::{Registry, manifests};
use crate::support::status::status_of;
use crate::support::upstream::Upstream;

/// Versions that are served of `acme/lib`, branches too.
fn served(registry: &Registry) -> Vec<String> {
    let mut all = registry.document("all", "acme/lib");
    all.extend(registry.branches("all", "acme/lib"));
    let versions = all.iter().filter_map(|version| version["version"].as_str());
    let mut versions: Vec<String> = versions.map(str::to_owned).collect();
    versions.sort();
    versions
}

/// Waits until these are served.
fn comes_to_serve(registry: &Registry, expected: &[&str]) {
    eventually("the versions that are served", || {
        let now = served(registry);
        (now == expected).then_some(())
    });
}

#[test]
fn what_is_less_stable_or_older_than_asked_for_is_not_served() {
    let all = [
        "1.0.0",
        "1.1.0",
        "1.2.0",
        "2.0.0-RC1",
        "2.0.0-beta1",
        "dev-main",
    ];
    let upstream = Upstream::listed();
    for version in all {
        upstream.release("acme/lib", version);
    }
    let filter = |versions: Value| json!({"versions": versions});
    let mut registry = Registry::start(&reading(
        &upstream,
        &filter(json!({"stability": "RC", "retain": 3})),
    ));
    comes_to_serve(&registry, &["1.1.0", "1.2.0", "2.0.0-RC1"]);
    let status = status_of(&registry, "team", "Synced");
    assert_eq!(status["versions"], 3, "{status}");
    // The source has nothing new to say, and yet what is asked for counts.
    registry.patch(
        "Repository",
        "team",
        &filter(json!({"stability": "stable", "retain": null})),
    );
    comes_to_serve(&registry, &["1.0.0", "1.1.0", "1.2.0"]);
    registry.patch("Repository", "team", &json!({"versions": null}));
    comes_to_serve(&registry, &all);
}

#[test]
fn refs_that_are_not_asked_for_are_not_served() {
    let folder = tempfile::tempdir().unwrap();
    let server = GitServer::start(folder.path()).unwrap();
    let tree = folder.path().join("tree");
    fs::create_dir_all(&tree).unwrap();
    let manifest = json!({"name": "acme/lib"}).to_string();
    fs::write(tree.join("composer.json"), manifest).unwrap();
    let lib = server.create("acme/lib").unwrap();
    lib.commit("main", &tree, "first", 1).unwrap();
    for tag in ["v1.0.0", "v1.1.0", "build-7.0.0"] {
        lib.tag(tag, "main").unwrap();
    }
    let only_tags = json!({"git": {"refs": ["refs/tags/v*"]}});
    let all = manifests(&json!({})).repository("team", "git", &server.url("acme/lib"), &only_tags);
    let mut registry = Registry::start(&all);
    comes_to_serve(&registry, &["v1.0.0", "v1.1.0"]);
    let more = json!({"git": {"refs": ["refs/tags/v1.1*", "refs/heads/main"]}});
    registry.patch("Repository", "team", &more);
    comes_to_serve(&registry, &["dev-main", "v1.1.0"]);
}
