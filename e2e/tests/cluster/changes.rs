//! Changes of what cannot change: the API server refuses each with the reason, and takes a neighbour of it.

use serde_json::{Value, json};

use super::{
    manifests::{broker, repository, token, with},
    support::{Kube, Team},
};

/// An object that nothing is done for, and changes of its `spec`.
struct Case {
    object: Value,
    refused: Value,
    /// What the refusal names: the field, and the reason.
    says: [&'static str; 2],
    taken: Value,
}

const FIXED: &str = "cannot change; delete the object";

fn cases() -> Vec<Case> {
    let named = |mut object: Value, name: &str| {
        object["metadata"]["name"] = name.into();
        with(object, &json!({"suspend": true}))
    };
    let on_servers = |name| {
        let servers = json!({
            "database": {
                "host": "db.example.com", "name": "packages",
                "credentialsSecretRef": {"name": "database"},
            },
            "storage": {"s3": {
                "bucket": "archives", "prefix": "team/", "region": "eu",
                "credentialsSecretRef": {"name": "bucket"},
            }},
        });
        with(named(broker(), name), &servers)
    };
    let case = |object: Value, refused: Value, says, taken: Value| Case {
        object,
        refused,
        says,
        taken,
    };
    vec![
        case(
            named(
                repository("a", "https://git.example.com/a.git"),
                "to-other-broker",
            ),
            json!({"brokerRef": {"name": "other"}}),
            ["spec.brokerRef", FIXED],
            json!({"priority": 3}),
        ),
        case(
            named(
                repository("a", "https://git.example.com/a.git"),
                "to-other-type",
            ),
            json!({"type": "composer"}),
            ["spec.type", FIXED],
            json!({"url": "https://git.example.com/b.git"}),
        ),
        case(
            named(token("a"), "to-other-broker"),
            json!({"brokerRef": {"name": "other"}}),
            ["spec.brokerRef", FIXED],
            json!({"scopes": {"packages": ["acme/*"]}}),
        ),
        case(
            named(token("a"), "to-other-secret"),
            json!({"secret": {"name": "other"}}),
            ["spec.secret", "cannot change its name"],
            json!({"secret": {"template": {"labels": {"team": "php"}}}}),
        ),
        case(
            named(broker(), "to-servers"),
            on_servers("any")["spec"].clone(),
            ["spec.database", "state does not move"],
            json!({"image": {"tag": "next"}}),
        ),
        case(
            named(broker(), "to-other-class"),
            json!({"volume": {"storageClassName": "fast"}}),
            ["spec.volume.storageClassName", "cannot change its class"],
            json!({"volume": {"size": "20Gi"}}),
        ),
        case(
            on_servers("to-other-database"),
            json!({"database": {"name": "other"}}),
            ["spec.database.name", "cannot become another one"],
            json!({"database": {"host": "other.example.com"}}),
        ),
        case(
            on_servers("to-other-bucket"),
            json!({"storage": {"s3": {"bucket": "other"}}}),
            ["spec.storage.s3.bucket", "cannot become another one"],
            json!({"storage": {"s3": {"region": "us"}}}),
        ),
        case(
            on_servers("to-other-prefix"),
            json!({"storage": {"s3": {"prefix": null}}}),
            ["spec.storage.s3.prefix", "cannot become another one"],
            json!({"storage": {"s3": {"pathStyle": true}}}),
        ),
    ]
}

/// What the API server says of a change; nothing if it takes it.
fn refusal(team: &Team, object: &Value, spec: &Value) -> Option<String> {
    let patch = json!({"spec": spec}).to_string();
    let text = |field: &Value| field.as_str().unwrap().to_lowercase();
    let said = team
        .attempt(&[
            "patch",
            &text(&object["kind"]),
            &text(&object["metadata"]["name"]),
            "--type=merge",
            "--dry-run=server",
            "--patch",
            &patch,
        ])
        .unwrap();
    (!said.status.success()).then_some(said.stderr)
}

#[test]
fn what_cannot_change_does_not() {
    let team = Kube::get().namespace("changes");
    for case in cases() {
        team.apply(std::slice::from_ref(&case.object)).unwrap();
        let name = &case.object["metadata"]["name"];
        let said = refusal(&team, &case.object, &case.refused).unwrap_or_default();
        for part in case.says {
            assert!(said.contains(part), "{name}: {part}: {said}");
        }
        assert_eq!(refusal(&team, &case.object, &case.taken), None, "{name}");
    }
}
