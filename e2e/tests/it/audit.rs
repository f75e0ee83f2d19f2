//! The audit log, as `package-broker audit` prints it.

mod accesses;
mod changes;
mod lost;

use package_broker_e2e::broker::package_broker;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use crate::support::registry::{Registry, manifests};
use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, eventually};

/// The records that those options name.
fn audit(registry: &Registry, more: &[&str]) -> Vec<Value> {
    let printed = registry.command("audit", more).success().unwrap();
    assert_eq!(printed.stderr, "");
    let lines = printed.stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The records once the registry has ended in an orderly way.
fn audit_at_end(registry: &mut Registry, more: &[&str]) -> Vec<Value> {
    let status = registry.broker.terminate(PATIENCE).unwrap();
    assert!(status.success(), "{status}: {}", registry.broker.log());
    audit(registry, more)
}

/// Some fields of a record, blank where there is none.
fn fields<'r, const N: usize>(record: &'r Value, names: [&str; N]) -> [&'r str; N] {
    names.map(|name| record[name].as_str().unwrap_or_default())
}

#[test]
fn who_installed_what_is_told_while_it_runs() {
    let upstream = Upstream::listed();
    upstream.release("acme/kit", "1.0.0");
    upstream.release("acme/log", "1.2.0");
    upstream.release("acme/other", "1.0.0");
    let all = Manifests::on_loopback().repository("team", "composer", &upstream.url(), &json!({}));
    let registry = Registry::start(&all);
    let directory = registry.folder().join("project");
    let extra = json!({"require": {"acme/kit": "^1.0", "acme/log": "^1.0"}});
    let url = registry.broker.url();
    let project =
        ComposerProject::create(ComposerVersion::Debian, &directory, url, &extra).unwrap();
    let auth = registry.broker.auth_json(Manifests::TOKEN);
    project.authenticate(&auth).unwrap();
    project.composer(&["install"]).unwrap().success().unwrap();

    let notified = ["--action", "install.notified"];
    eventually("the last record", || {
        (!audit(&registry, &notified).is_empty()).then_some(())
    });
    let by_token = audit(&registry, &["--actor", Manifests::TOKEN]);
    let names = ["actor", "address", "outcome"];
    for record in &by_token {
        let expected = ["token/team", "127.0.0.1", "ok"];
        assert_eq!(fields(record, names), expected, "{record}");
    }
    let mut told: Vec<_> = by_token
        .iter()
        .filter(|record| record["subject"].is_string())
        .map(|record| fields(record, ["action", "subject", "version", "repository"]))
        .collect();
    told.sort_unstable();
    told.dedup();
    let expected = [
        ["archive.read", "acme/kit", "1.0.0.0", "team"],
        ["archive.read", "acme/log", "1.2.0.0", "team"],
        ["package.read", "acme/kit", "", "team"],
        ["package.read", "acme/log", "", "team"],
    ];
    assert_eq!(told, expected);
    // Nobody else did anything to that package.
    let of_kit = audit(&registry, &["--package", "acme/kit"]);
    let mut actors: Vec<_> = of_kit
        .iter()
        .map(|record| fields(record, ["actor", "action"]))
        .collect();
    actors.sort_unstable();
    actors.dedup();
    let expected = [
        ["broker", "archive.stored"],
        ["sync", "package.changed"],
        ["token/team", "archive.read"],
        ["token/team", "package.read"],
    ];
    assert_eq!(actors, expected);
}

#[test]
fn options_choose_records() {
    let all = manifests(&json!({}));
    let mut registry = Registry::start(&all);
    let everything = audit_at_end(&mut registry, &[]);
    let lasts: Vec<&str> = everything
        .iter()
        .map(|record| record["last"].as_str().unwrap())
        .collect();
    assert!(lasts.len() >= 4, "{everything:?}");
    // The same form and zone, but not the same number of digits.
    let in_order = lasts.is_sorted_by_key(|last| last.trim_end_matches('Z'));
    assert!(in_order, "{lasts:?}");
    let middle = lasts[lasts.len() / 2];
    let before = audit(&registry, &["--until", middle]);
    let after = audit(&registry, &["--since", middle]);
    assert!(!before.is_empty() && !after.is_empty());
    assert_eq!([before, after].concat(), everything);
    assert_eq!(audit(&registry, &["--since", "2020-01-01"]), everything);
    assert_eq!(
        audit(&registry, &["--until", "2020-01-01"]),
        [] as [Value; 0]
    );
    assert_eq!(audit(&registry, &["--actor", "nobody"]), [] as [Value; 0]);
    let started = audit(
        &registry,
        &["--actor", "broker", "--action", "audit.started"],
    );
    assert_eq!(started.len(), 1);
    for (wrong, told) in [
        (["--action", "package.eaten"], "docs/audit.md"),
        (["--since", "yesterday"], "2026-01-31"),
    ] {
        let refused = registry.command("audit", &wrong);
        assert_eq!(refused.code(), 2);
        assert!(refused.stderr.contains(told), "{}", refused.stderr);
    }
}

#[test]
fn a_folder_without_data_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let arguments = ["audit".as_ref(), "--data".as_ref(), nowhere.as_os_str()];
    let refused = package_broker(&arguments).unwrap();
    assert_eq!(refused.code(), 1);
    assert!(
        refused.stderr.contains("no data folder"),
        "{}",
        refused.stderr
    );
}
