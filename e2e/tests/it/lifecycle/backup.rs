//! Backup and restore of a data folder, with the commands of docs/operations.md.

use std::fs;
use std::path::Path;

use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::process::{run, tethered};
use serde_json::json;

use crate::support::PATIENCE;
use crate::support::registry::{Registry, basic, manifests};
use crate::support::upstream::Upstream;

const PAGE: &str = include_str!("../../../../docs/operations.md");

/// Runs the page's commands for a backup, with these folders in place of those that it names.
fn back_up(data: &Path, backup: &Path) {
    let section = PAGE.split_once("\n## Backup\n").unwrap().1;
    let section = section.split_once("\n## ").unwrap().0;
    let commands = section.lines().filter_map(|line| line.strip_prefix("    "));
    let commands: Vec<&str> = commands.collect();
    assert!(commands[0].starts_with("sqlite3 "), "{commands:?}");
    let commands = commands
        .join("\n")
        .replace("/var/lib/package-broker", "$DATA")
        .replace("/backup", "$BACKUP");
    let mut shell = tethered("sh");
    shell
        .args(["-e", "-c", &commands])
        .env("DATA", data)
        .env("BACKUP", backup);
    let finished = run(shell, PATIENCE).unwrap();
    assert!(finished.status.success(), "{commands}\n{finished}");
}

#[test]
fn a_data_folder_that_was_backed_up_while_it_ran_serves_again() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let mut registry = Registry::start(&all);
    let path = registry.archive_of("all", "acme/lib", "1.0.0");
    let archive = registry.get("all", &path);
    assert_eq!(archive.status, 200, "{}", archive.text());
    let document = registry.get("all", "/p2/acme/lib.json");
    let (_, made) = registry.broker.credentials(Manifests::TOKEN).unwrap();

    let backup = registry.folder().join("backup");
    fs::create_dir(&backup).unwrap();
    back_up(&registry.data(), &backup);
    // What came later is not in it, and what is there is served on.
    upstream.release("acme/lib", "2.0.0");
    registry.sync("team");
    let status = registry.broker.terminate(PATIENCE).unwrap();
    assert!(status.success(), "{status}: {}", registry.broker.log());

    // Everything is lost, the source too.
    upstream.fail("/", 500);
    fs::remove_dir_all(registry.data()).unwrap();
    fs::create_dir_all(registry.data().join("storage")).unwrap();
    for (saved, place) in [
        ("state.db", "state.db"),
        ("blobs", "storage/blobs"),
        ("tokens", "tokens"),
    ] {
        fs::rename(backup.join(saved), registry.data().join(place)).unwrap();
    }
    registry.start_again();
    let again = registry.get("all", "/p2/acme/lib.json");
    assert!(again.body == document.body);
    assert_eq!(
        again.header("last-modified"),
        document.header("last-modified")
    );
    let kept = registry.get("all", &path);
    assert_eq!(kept.status, 200, "{}", kept.text());
    assert!(kept.body == archive.body);
    let call = registry.anonymous("GET", "/packages.json");
    let call = call.header("Authorization", &basic("token", &made));
    assert_eq!(call.send().unwrap().status, 200);
    upstream.mend("/");
    registry.sync("team");
    assert_eq!(registry.document("all", "acme/lib").len(), 2);
}
