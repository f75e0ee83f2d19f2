//! What was served once stays, whatever becomes of the upstream.

use std::fs;

use serde_json::Value;

use super::{PACKAGE, registry_over};
use crate::support::registry::Registry;
use crate::support::upstream::{Upstream, archive, archive_path};
use crate::support::{assert_problem, eventually, sha1_of};

fn assert_serves(registry: &Registry, path: &str, bytes: &[u8], when: &str) {
    let answer = registry.get("all", path);
    assert_eq!(answer.status, 200, "{when}: {}", answer.text());
    assert!(answer.body == bytes, "{when}: other bytes");
}

/// `dist.shasum` of a version; nothing if it has none or an empty one.
fn checksum(registry: &Registry, version: &str) -> Option<String> {
    let document = registry.document("all", PACKAGE);
    let entry = document.iter().find(|entry| entry["version"] == version);
    let checksum = entry.unwrap()["dist"]["shasum"].as_str().map(str::to_owned);
    checksum.filter(|checksum| !checksum.is_empty())
}

#[test]
fn archives_of_versions_that_vanish_are_still_served() {
    let upstream = Upstream::listed();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        upstream.release(PACKAGE, version);
    }
    let mut registry = registry_over(&upstream);
    let [stored, never_asked] =
        ["1.0.0", "1.1.0"].map(|version| registry.archive_of("all", PACKAGE, version));
    let zip = archive(PACKAGE, "1.0.0", 0);
    assert_serves(&registry, &stored, &zip, "at first");

    upstream.withdraw(PACKAGE, "1.0.0");
    upstream.withdraw(PACKAGE, "1.1.0");
    assert_problem(&registry.get("all", &never_asked), 410, "before the sync");
    registry.sync("team");
    let versions: Vec<Value> = registry.document("all", PACKAGE);
    assert_eq!(versions.len(), 1, "{versions:?}");
    assert_serves(&registry, &stored, &zip, "after the sync");
    assert_problem(&registry.get("all", &never_asked), 404, "after the sync");

    upstream.remove(PACKAGE);
    registry.sync("team");
    let gone = registry.get("all", &format!("/p2/{PACKAGE}.json"));
    assert_problem(&gone, 404, "the package is gone");
    assert_serves(&registry, &stored, &zip, "after the package is gone");
    registry.restart();
    assert_serves(&registry, &stored, &zip, "after a restart");
    assert_eq!(upstream.asked(&archive_path(PACKAGE, "1.0.0")), 1);
}

#[test]
fn the_checksum_is_published_with_the_first_download() {
    let upstream = Upstream::listed();
    upstream.release_without_checksum(PACKAGE, "1.0.0");
    upstream.release_without_checksum(PACKAGE, "1.1.0");
    let mut registry = registry_over(&upstream);
    assert_eq!(checksum(&registry, "1.0.0"), None);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let bytes = registry.get("all", &path).body;
    let published = eventually("the checksum", || checksum(&registry, "1.0.0"));
    assert_eq!(published, sha1_of(&bytes));
    assert_eq!(checksum(&registry, "1.1.0"), None, "nobody asked for it");
    registry.restart();
    assert_eq!(checksum(&registry, "1.0.0"), Some(published.clone()));
    // Reading the package anew forgets nothing.
    upstream.release_without_checksum(PACKAGE, "1.2.0");
    registry.sync("team");
    assert_eq!(registry.document("all", PACKAGE).len(), 3);
    assert_eq!(checksum(&registry, "1.0.0"), Some(published));
}

#[test]
fn a_package_that_returns_still_has_its_checksums() {
    let upstream = Upstream::listed();
    upstream.release_without_checksum(PACKAGE, "1.0.0");
    let mut registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    assert_eq!(registry.get("all", &path).status, 200);
    let published = eventually("the checksum", || checksum(&registry, "1.0.0"));
    upstream.remove(PACKAGE);
    registry.sync("team");
    upstream.release_without_checksum(PACKAGE, "1.0.0");
    registry.sync("team");
    assert_eq!(checksum(&registry, "1.0.0"), Some(published));
}

#[test]
fn one_address_means_one_content() {
    let upstream = Upstream::listed();
    upstream.release_without_checksum(PACKAGE, "1.0.0");
    let mut registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let first = registry.get("all", &path).body;
    // The tag was moved, or the host packs the same files in another way.
    upstream.replace_archive(PACKAGE, "1.0.0", &archive(PACKAGE, "1.0.0", 5000));
    assert_serves(&registry, &path, &first, "after the change");
    registry.sync("team");
    assert_serves(&registry, &path, &first, "after a sync");
    registry.restart();
    assert_serves(&registry, &path, &first, "after a restart");
    assert_eq!(checksum(&registry, "1.0.0"), Some(sha1_of(&first)));
}

#[test]
fn a_lost_archive_comes_back_with_the_same_bytes_or_not_at_all() {
    let upstream = Upstream::listed();
    upstream.release_without_checksum(PACKAGE, "1.0.0");
    let registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let first = registry.get("all", &path).body;
    let lose = || fs::remove_file(registry.blobs().pop().unwrap()).unwrap();
    lose();
    assert_serves(&registry, &path, &first, "fetched again");
    lose();
    upstream.replace_archive(PACKAGE, "1.0.0", &archive(PACKAGE, "1.0.0", 5000));
    for _ in 0..2 {
        let answer = registry.get("all", &path);
        assert_problem(&answer, 410, "the source has other bytes");
        assert!(answer.text().contains("other bytes"), "{}", answer.text());
    }
    upstream.replace_archive(PACKAGE, "1.0.0", &first);
    assert_serves(&registry, &path, &first, "the old bytes are back");
}
