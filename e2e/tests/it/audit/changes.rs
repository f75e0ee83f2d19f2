//! Changes of manifests and of packages make their records, where they happen and once.

use package_broker_e2e::manifests::Manifests;
use serde_json::{Value, json};

use super::{audit, audit_at_end, fields};
use crate::support::registry::{Registry, manifests, with_token};
use crate::support::upstream::Upstream;

const NAMES: [&str; 4] = ["actor", "action", "subject", "repository"];

/// What has happened since the last time this was asked, in order of the words.
fn news(registry: &mut Registry, told: &mut usize) -> Vec<[String; 4]> {
    let records = audit_at_end(registry, &[]);
    let since = records.get(*told..).unwrap();
    *told = records.len();
    registry.start_again();
    registry.wait_until_ready();
    let changes = since.iter().filter(|record| {
        let action = record["action"].as_str().unwrap();
        !action.starts_with("audit.") && !action.starts_with("manifests.")
    });
    let mut changes: Vec<[String; 4]> = changes
        .map(|record| fields(record, NAMES).map(str::to_owned))
        .collect();
    changes.sort();
    changes
}

fn manifest_change(action: &str, subject: &str) -> [String; 4] {
    ["manifests", action, subject, ""].map(str::to_owned)
}

#[test]
fn changes_are_recorded_once_and_a_sync_of_nothing_new_is_not() {
    let (team, other) = (Upstream::listed(), Upstream::listed());
    team.release("acme/lib", "1.0.0");
    team.release("acme/log", "1.0.0");
    other.release("acme/lib", "2.0.0");
    let both = manifests(&json!({}))
        .repository("team", "composer", &team.url(), &json!({"priority": 1}))
        .repository("zother", "composer", &other.url(), &json!({}));
    let mut registry = Registry::start(&both);
    let mut told = 0;
    let package = |actor: &str, action: &str, subject: &str, repository: &str| {
        [actor, action, subject, repository].map(str::to_owned)
    };
    let changed = |subject, repository| package("sync", "package.changed", subject, repository);
    let first = news(&mut registry, &mut told);
    let expected = [
        manifest_change("repository.added", "team"),
        manifest_change("repository.added", "zother"),
        manifest_change("token.created", "all"),
        manifest_change("token.created", Manifests::TOKEN),
        changed("acme/lib", "team"),
        changed("acme/lib", "zother"),
        changed("acme/log", "team"),
    ];
    // Which of the two repositories was read first decides whether the name moved.
    let unmoved = first
        .into_iter()
        .filter(|[_, action, ..]| action != "package.moved");
    assert_eq!(unmoved.collect::<Vec<_>>(), expected);

    // A start that finds everything as it was, with its syncs.
    assert_eq!(news(&mut registry, &mut told), [] as [[String; 4]; 0]);

    team.release("acme/lib", "1.1.0");
    team.remove("acme/log");
    registry.sync("team");
    let expected = [
        manifest_change("repository.changed", "team"),
        changed("acme/lib", "team"),
        package("sync", "package.removed", "acme/log", "team"),
        package("sync", "package.withdrawn", "acme/log", "team"),
    ];
    assert_eq!(news(&mut registry, &mut told), expected);

    let scope = json!({"scopes": {"packages": ["acme/*"]}, "expiresAt": "2999-01-01T00:00:00Z"});
    let narrower = with_token(registry.manifests().clone(), "all", &scope);
    registry.edit(&narrower.without("AccessToken", Manifests::TOKEN));
    let expected = [
        manifest_change("token.changed", "all"),
        manifest_change("token.withdrawn", Manifests::TOKEN),
    ];
    assert_eq!(news(&mut registry, &mut told), expected);
    let change = audit(&registry, &["--action", "token.changed"]).remove(0);
    let detail: Value = serde_json::from_str(change["detail"].as_str().unwrap()).unwrap();
    let expected = json!({
        "scope": {"packages": ["acme/*"], "repositories": []},
        "expiresAt": "2999-01-01T00:00:00Z",
    });
    assert_eq!(detail, expected);

    let alone = registry.manifests().clone().without("Repository", "team");
    registry.edit(&alone);
    let expected = [
        package("manifests", "package.moved", "acme/lib", "zother"),
        package("manifests", "package.removed", "acme/lib", "team"),
        manifest_change("repository.removed", "team"),
    ];
    assert_eq!(news(&mut registry, &mut told), expected);
}
