//! Archives that are built here are the same bytes wherever they are built.

use std::fs;
use std::path::Path;

use package_broker_e2e::git::GitRepository;
use package_broker_e2e::tree::PackageTree;
use serde_json::json;

use super::PACKAGE;
use crate::support::registry::{Registry, archive_in, manifests};
use crate::support::{eventually, sha1_of};

/// Two tags and a branch, with files that archives leave out, an executable and a link.
fn repository(folder: &Path) -> GitRepository {
    let repository = GitRepository::create(&folder.join("lib.git")).unwrap();
    let tree = folder.join("tree");
    for (day, version) in (0..).zip(["1.0.0", "1.1.0"]) {
        let class = "Acme\\Lib\\Greeter";
        PackageTree::write(&tree, PACKAGE, version, class, &json!({})).unwrap();
        fs::write(tree.join(".gitattributes"), "/tests export-ignore\n").unwrap();
        fs::create_dir_all(tree.join("tests")).unwrap();
        fs::write(tree.join("tests/data"), "x".repeat(10_000)).unwrap();
        repository.commit("main", &tree, version, day).unwrap();
        repository.tag(version, "main").unwrap();
    }
    repository
}

fn registry_over(repository: &GitRepository) -> Registry {
    let all = manifests(&json!({})).repository("lib", "git", &repository.file_url(), &json!({}));
    Registry::start(&all)
}

fn addresses(registry: &Registry) -> Vec<String> {
    let mut versions = registry.document("all", PACKAGE);
    versions.extend(registry.branches("all", PACKAGE));
    versions.iter().map(archive_in).collect()
}

#[test]
fn two_brokers_build_the_same_archive() {
    let folder = tempfile::tempdir().unwrap();
    let repository = repository(folder.path());
    let (one, other) = (registry_over(&repository), registry_over(&repository));
    let paths = addresses(&one);
    assert_eq!(paths.len(), 3, "{paths:?}");
    assert_eq!(paths, addresses(&other));
    for path in &paths {
        let (built, again) = (one.get("all", path), other.get("all", path));
        assert_eq!((built.status, again.status), (200, 200), "{path}");
        assert!(built.body == again.body, "{path} differs");
        assert_eq!(built.header("content-type"), Some("application/zip"));
        let text = String::from_utf8_lossy(&built.body);
        assert!(text.contains("composer.json") && !text.contains("tests/data"));
    }
    let newest = one
        .get("all", &one.archive_of("all", PACKAGE, "1.1.0"))
        .body;
    let shown = eventually("the checksum", || {
        let document = one.document("all", PACKAGE);
        let shown = document[0]["dist"]["shasum"].as_str().map(str::to_owned);
        shown.filter(|shown| !shown.is_empty())
    });
    assert_eq!(shown, sha1_of(&newest));
}

#[test]
fn a_lost_archive_is_built_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = registry_over(&repository(folder.path()));
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let first = registry.get("all", &path).body;
    let blob = registry.blobs().pop().unwrap();
    fs::remove_file(&blob).unwrap();
    fs::remove_dir_all(registry.data().join("git")).unwrap();
    registry.restart();
    let answer = registry.get("all", &path);
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == first);
    assert_eq!(fs::read(&blob).unwrap(), first, "it is stored again");
}
