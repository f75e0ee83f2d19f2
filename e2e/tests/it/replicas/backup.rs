//! Backup and restore, with the commands of docs/operations-servers.md.

use std::fs;
use std::path::Path;

use package_broker_e2e::process::{run, tethered};

use super::installation::Installation;
use super::serving::{URL, ask, ready, with_upstream};
use crate::support::registry::{archive_in, expanded};
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, json as json_of};

const PAGE: &str = include_str!("../../../../docs/operations-servers.md");

/// Runs the page's block of commands that contains `what`.
fn follow(installation: &Installation, what: &str) {
    let blocks = PAGE.split("\n```sh\n").skip(1);
    let mut blocks = blocks.filter_map(|block| Some(block.split_once("\n```\n")?.0));
    let block = blocks.find(|block| block.contains(what)).unwrap();
    let mut shell = tethered("sh");
    // The server's own programs fit it, whichever others there are.
    let path = std::env::var("PATH").unwrap_or_default();
    shell
        .args(["-e", "-c", block])
        .current_dir(installation.path(""))
        .env(
            "PATH",
            format!("{}:{path}", installation.postgres.programs().display()),
        )
        .env("DATABASE_URL", &installation.database)
        .env("BUCKET", installation.bucket());
    let finished = run(shell, PATIENCE).unwrap();
    assert!(finished.status.success(), "{block}\n{}", finished.stderr);
}

fn empty(folder: &Path) {
    fs::remove_dir_all(folder).unwrap();
    fs::create_dir(folder).unwrap();
}

#[test]
fn what_was_backed_up_serves_again() {
    let mut installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let replica = installation.serve("one");
    ready(&replica);
    let document = ask(&replica, "all", "/p2/acme/lib.json");
    let path = archive_in(&expanded(&json_of(&document), "acme/lib")[0]);
    let archive = ask(&replica, "all", &path);
    assert_eq!(archive.status, 200, "{}", archive.text());

    fs::create_dir_all(installation.path("backup/bucket")).unwrap();
    follow(&installation, "pg_dump");
    drop(replica);
    // Everything is lost, the source's archive too.
    upstream.remove("acme/lib");
    fs::remove_file(installation.path("keys")).unwrap();
    fs::remove_dir_all(installation.path("one")).unwrap();
    fs::remove_dir_all(installation.path("command")).unwrap();
    empty(&installation.bucket());
    installation.redis.as_mut().unwrap().restart_empty();
    installation.database = installation.postgres.database().unwrap();
    follow(&installation, "pg_restore");

    let replica = installation.serve("one");
    ready(&replica);
    let again = ask(&replica, "all", "/p2/acme/lib.json");
    assert!(again.body == document.body);
    assert_eq!(
        again.header("last-modified"),
        document.header("last-modified")
    );
    let kept = ask(&replica, "all", &path);
    assert_eq!(kept.status, 200, "{}", kept.text());
    assert!(kept.body == archive.body);
    upstream.release("acme/lib", "1.0.0");
    assert_eq!(installation.sync("team")["result"], "succeeded");
}
