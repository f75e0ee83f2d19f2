//! How the process starts, tells about itself, and ends.

mod backup;
mod logs;
mod metrics;
mod shutdown;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use crate::support::PATIENCE;
use crate::support::registry::{Registry, manifests};
use crate::support::upstream::Upstream;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn what_holds_secrets_is_for_its_owner_only() {
    let registry = Registry::start(&manifests(&json!({})));
    let auth_json = registry.broker.auth_json(Manifests::TOKEN);
    assert_eq!(mode(&auth_json), 0o600);
    let data = registry.data();
    for folder in [&data, &data.join("tokens"), auth_json.parent().unwrap()] {
        assert_eq!(mode(folder), 0o700, "{}", folder.display());
    }
    let database = data.join("state.db");
    assert_eq!(mode(&database), 0o600);
}

#[test]
fn a_second_process_on_the_same_data_is_refused() {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let mut registry = Registry::start(&all);
    let run_file = registry.data().join("run.json");
    let before = fs::read(&run_file).unwrap();
    // By another name, so that it has a log of its own.
    let alias = registry.folder().join("alias");
    symlink(registry.data(), &alias).unwrap();
    let mut second = Broker::spawn(&registry.file(), &alias).unwrap();
    let status = second.wait(PATIENCE).unwrap();
    let said = fs::read_to_string(alias.with_extension("log")).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    let expected = [
        "error: ",
        "another process holds",
        "a data folder of its own",
    ];
    for words in expected {
        assert!(said.contains(words), "{words} is not in: {said}");
    }
    assert_eq!(fs::read(&run_file).unwrap(), before);
    assert_eq!(registry.document("all", "acme/lib").len(), 1);
    // The lock goes with the process that holds it.
    registry.restart();
    assert_eq!(registry.document("all", "acme/lib").len(), 1);
}
