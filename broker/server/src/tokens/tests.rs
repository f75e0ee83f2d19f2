use package_broker_crds::PackageBroker;
use serde_json::{Value, json};

use super::*;

const URL: &str = "http://127.0.0.1:8080";
const OWN: &str = "a-token-of-thirty-two-characters";

fn desired(tokens: &[(&str, Value, Option<&str>)]) -> Desired {
    let object = |kind: &str, name: &str, spec: Value| {
        let api = "package.broker/v1alpha1";
        json!({"apiVersion": api, "kind": kind, "metadata": {"name": name}, "spec": spec})
    };
    let tokens = tokens.iter().map(|(name, more, brought)| {
        let mut spec = json!({"brokerRef": {"name": "main"}});
        for (field, value) in more.as_object().unwrap() {
            spec[field] = value.clone();
        }
        let resource: AccessToken =
            serde_json::from_value(object("AccessToken", name, spec)).unwrap();
        (resource, brought.map(TokenHash::of))
    });
    let broker: PackageBroker =
        serde_json::from_value(object("PackageBroker", "main", json!({}))).unwrap();
    Desired {
        tokens: tokens.collect(),
        broker,
        repositories: Vec::new(),
        administrator: None,
    }
}

/// A token that was made so many hours ago.
fn made(data: &Path, name: &str, hours: i64, previous: Option<&str>) {
    let token = token::generate().unwrap();
    let folder = data.join("tokens").join(name);
    fs::create_dir_all(&folder).unwrap();
    let auth = package_broker_kinds::auth::auth_json(&token, URL);
    fs::write(folder.join("auth.json"), auth.to_string()).unwrap();
    let text = secrecy::ExposeSecret::expose_secret(&token);
    let now = Timestamp::now().as_second();
    let time = |second: i64| Timestamp::from_second(second).unwrap();
    let mut stored = json!({"token": text, "issuedAt": time(now - hours * 3_600)});
    if let Some(previous) = previous {
        stored["previous"] = json!({"token": previous, "validUntil": time(now + 600)});
    }
    fs::write(folder.join("token.json"), stored.to_string()).unwrap();
}

fn names(tokens: &Tokens) -> Vec<&str> {
    let records = tokens.records.iter();
    records.map(|(record, _)| record.name.as_str()).collect()
}

/// From the first record of this name: in how many minutes it ends.
fn minutes(tokens: &Tokens, name: &str) -> Option<i64> {
    let (record, _) = tokens
        .records
        .iter()
        .find(|(record, _)| record.name == name)
        .unwrap();
    let left = record.expires_at?.duration_since(Timestamp::now());
    Some((left.as_secs() + 30).div_euclid(60))
}

#[test]
fn tokens_end_and_rotate_by_when_they_were_made() {
    let data = tempfile::tempdir().unwrap();
    made(data.path(), "old", 3, None);
    made(data.path(), "young", 1, None);
    made(data.path(), "ci", 49, None);
    let rotation = json!({"rotation": {"interval": "48h", "overlap": "1h"}});
    let desired = desired(&[
        ("old", json!({"ttl": "2h"}), None),
        ("young", json!({"ttl": "2h"}), None),
        ("ci", rotation, None),
        ("own", json!({}), Some(OWN)),
    ]);
    let tokens = declared(&desired, data.path(), URL).unwrap();
    assert_eq!(names(&tokens), ["old", "young", "ci", "own", "ci.previous"]);
    assert_eq!(minutes(&tokens, "old"), Some(-60));
    assert_eq!(minutes(&tokens, "young"), Some(60));
    assert_eq!(minutes(&tokens, "ci"), None);
    assert_eq!(minutes(&tokens, "ci.previous"), Some(60));
    // The end of the one before; that of `ttl` needs nobody to see to it.
    let next = tokens.next.unwrap().duration_since(Timestamp::now());
    assert!((3_540..=3_600).contains(&next.as_secs()), "{next:?}");
    let again = declared(&desired, data.path(), URL).unwrap();
    assert_eq!(again.records, tokens.records);
    assert_eq!(again.next, tokens.next);
}

#[test]
fn no_name_and_no_token_is_there_twice() {
    let data = tempfile::tempdir().unwrap();
    made(data.path(), "ci", 1, Some(OWN));
    made(
        data.path(),
        "deploy",
        1,
        Some("another-token-that-is-long-enough"),
    );
    let tokens = declared(
        &desired(&[
            ("ci", json!({}), None),
            ("deploy", json!({}), None),
            ("deploy.previous", json!({}), Some(OWN)),
        ]),
        data.path(),
        URL,
    );
    assert_eq!(
        names(&tokens.unwrap()),
        ["ci", "deploy", "deploy.previous", "deploy.previous-2"]
    );
}

#[test]
fn a_suspended_token_is_not_taken_and_neither_is_the_one_before() {
    let data = tempfile::tempdir().unwrap();
    made(data.path(), "ci", 1, Some(OWN));
    let suspended = desired(&[("ci", json!({"suspend": true}), None)]);
    let tokens = declared(&suspended, data.path(), URL).unwrap();
    assert_eq!(names(&tokens), [""; 0]);
    remove_others(&suspended, data.path()).unwrap();
    assert!(auth_file(data.path(), "ci").is_file());
    remove_others(&desired(&[]), data.path()).unwrap();
    assert!(!data.path().join("tokens/ci").exists());
}
