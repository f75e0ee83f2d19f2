//! A disk that is full or read-only: a clear error, what is there goes on, nothing is damaged.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::super::installation::Installation;
use super::super::serving::{URL, ask, ready, with_upstream};
use crate::support::registry::{Registry, archive_in, expanded, manifests};
use crate::support::upstream::{Upstream, archive};
use crate::support::{assert_problem, eventually, json as json_of};

/// A small file system of its own, which takes root to make; gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(folder: &Path, size: &str) -> Self {
        fs::create_dir_all(folder).unwrap();
        let this = Self(folder.to_owned());
        this.mount(&format!("size={size},mode=700"));
        this
    }

    fn mount(&self, options: &str) {
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&self.0);
        assert!(
            mount.status().unwrap().success(),
            "a small disk takes root and tmpfs"
        );
    }

    fn fill(&self) {
        // Until nothing fits: the last piece is cut.
        let _ = fs::write(self.0.join("filler"), vec![0; 64 << 20]);
    }

    fn clear(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
        // The folder around it could not be removed while it was there.
        let _ = fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn an_embedded_registry_serves_what_it_has_from_a_full_disk() {
    let upstream = Upstream::listed();
    upstream.publish(
        "acme/lib",
        "1.0.0",
        &archive("acme/lib", "1.0.0", 100_000),
        true,
    );
    upstream.publish(
        "acme/kit",
        "1.0.0",
        &archive("acme/kit", "1.0.0", 100_000),
        true,
    );
    let all = manifests(&json!({})).repository(
        "team",
        "composer",
        &upstream.url(),
        &json!({"sync": {"interval": "1m"}}),
    );
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let disk = SmallDisk::at(&data, "24m");
    let mut registry = Registry::start_in(folder, &all);
    let path_of = |registry: &Registry, name: &str| {
        let document = json_of(&registry.get("all", &format!("/p2/{name}.json")));
        archive_in(&expanded(&document, name)[0])
    };
    let (warm, cold) = (
        path_of(&registry, "acme/lib"),
        path_of(&registry, "acme/kit"),
    );
    let whole = registry.get("all", &warm);
    assert_eq!(whole.status, 200);
    // The date of a view is stored when it is first asked for.
    assert_eq!(registry.get("all", "/packages.json").status, 200);
    disk.fill();
    let answer = registry.get("all", &cold);
    assert_problem(&answer, 503, "an archive there is no room for");
    assert!(registry.get("all", &warm).body == whole.body);
    assert_eq!(registry.get("all", "/packages.json").status, 200);
    // Nothing is damaged, and it starts again once there is room.
    disk.clear();
    eventually("the archive", || {
        (registry.get("all", &cold).status == 200).then_some(())
    });
    registry.broker.kill();
    registry.start_again();
    assert!(registry.get("all", &warm).body == whole.body);
    assert_eq!(registry.get("all", &cold).status, 200);
}

#[test]
fn a_replica_without_room_for_uploads_says_so() {
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.publish(
        "acme/lib",
        "1.0.0",
        &archive("acme/lib", "1.0.0", 2_000_000),
        true,
    );
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let data = installation.path("one");
    let disk = SmallDisk::at(&data, "4m");
    let replica = installation.serve("one");
    ready(&replica);
    let document = json_of(&ask(&replica, "all", "/p2/acme/lib.json"));
    let path = archive_in(&expanded(&document, "acme/lib")[0]);
    disk.fill();
    let answer = ask(&replica, "all", &path);
    assert_problem(&answer, 503, "an archive there is no room for");
    assert!(replica.log().contains("No space left"), "{}", replica.log());
    assert_eq!(installation.objects().len(), 0);
    assert_eq!(ask(&replica, "all", "/packages.json").status, 200);
    disk.clear();
    eventually("the archive", || {
        (ask(&replica, "all", &path).status == 200).then_some(())
    });
}

#[test]
fn a_data_folder_that_is_read_only_is_named() {
    let upstream = Upstream::listed();
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("manifests.yaml");
    all.write_file(&file).unwrap();
    let data = folder.path().join("data");
    let disk = SmallDisk::at(&data, "4m");
    disk.mount("remount,ro");
    let failed = package_broker_e2e::broker::package_broker(&[
        "run".as_ref(),
        "-f".as_ref(),
        file.as_os_str(),
        "--data".as_ref(),
        data.as_os_str(),
    ])
    .unwrap();
    assert_eq!(failed.code(), 1);
    assert!(
        failed.stderr.contains("Read-only file system"),
        "{}",
        failed.stderr
    );
    assert!(
        failed.stderr.contains(data.to_str().unwrap()),
        "{}",
        failed.stderr
    );
}
