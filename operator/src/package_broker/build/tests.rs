use std::sync::Arc;

use kube::Resource;
use package_broker_core::domain::token;
use package_broker_crds::{AccessToken, PackageBroker, Repository, validation::admit};
use package_broker_kinds::SecretData;
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use super::{BuildError, Objects, build, split};
use crate::{
    access_token::{Previous, Record, Token},
    args::Images,
    package_broker::validate::Valid,
};

fn broker(spec: &Value) -> PackageBroker {
    let object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "PackageBroker",
        "metadata": {
            "name": "main", "namespace": "team", "uid": "1-2-3", "generation": 4,
            "labels": {"argocd.argoproj.io/instance": "app"},
            "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
        },
        "spec": spec,
    });
    serde_json::from_value(object).unwrap()
}

fn repository(name: &str, spec: &Value) -> Arc<Repository> {
    let mut object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "Repository",
        "metadata": {"name": name, "namespace": "team", "generation": 2},
        "spec": {"brokerRef": {"name": "main"}, "type": "git", "url": "https://git.example.com/acme/lib.git"},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn access_token(name: &str) -> Arc<AccessToken> {
    let object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "AccessToken",
        "metadata": {"name": name, "namespace": "team", "generation": 1},
        "spec": {"brokerRef": {"name": "main"}, "secret": {"name": "chosen"}},
    });
    serde_json::from_value(object).unwrap()
}

fn secret_token(secret: &str) -> Token {
    let text = SecretString::from("a-token-of-thirty-two-characters");
    Token {
        hash: token::check(&text).unwrap(),
        text,
        secret: secret.to_owned(),
        key: "password".to_owned(),
        record: Record::default(),
    }
}

fn images() -> Images {
    Images {
        broker: "registry.example.com/package-broker:1.0.0".to_owned(),
    }
}

fn built(broker: &PackageBroker, valid: &Valid) -> Objects {
    build(broker, valid, &images()).unwrap()
}

/// The objects as JSON, with the state readable.
fn shown(objects: &Objects) -> String {
    let json = |object: &dyn erased::Shown| object.shown();
    let mut state = json(&objects.state);
    let bytes = &objects.state.data.as_ref().unwrap()["state.json"].0;
    state["data"]["state.json"] = serde_json::from_slice(bytes).unwrap();
    let all = [
        state,
        json(&objects.volume),
        json(&objects.service),
        json(&objects.deployment),
    ];
    serde_json::to_string_pretty(&all).unwrap()
}

mod erased {
    use serde_json::Value;

    pub(super) trait Shown {
        fn shown(&self) -> Value;
    }

    impl<T: super::Serialize> Shown for T {
        fn shown(&self) -> Value {
            serde_json::to_value(self).unwrap()
        }
    }
}

#[test]
fn an_empty_spec_is_a_pod_with_a_volume() {
    let objects = built(&broker(&json!({})), &Valid::default());
    insta::assert_snapshot!(shown(&objects));
}

#[test]
fn everything_that_can_be_said_is_there() {
    let broker = broker(&json!({
        "externalUrl": "https://packages.example.com/composer",
        "volume": {"size": "1Gi", "storageClassName": "fast"},
        "image": {
            "repository": "mirror/package-broker", "digest": format!("sha256:{}", "a".repeat(64)),
            "pullPolicy": "Always", "pullSecrets": [{"name": "pull"}],
        },
        "resources": {"limits": {"memory": "1Gi"}},
        "deletionPolicy": "Delete",
        "egress": {"allowHttp": true},
    }));
    let data = SecretData::from([("token".to_owned(), b"hunter2".to_vec().into())]);
    let valid = Valid {
        repositories: vec![(
            repository(
                "acme-lib",
                &json!({"credentialsSecretRef": {"name": "gitlab"}}),
            ),
            Some(data),
        )],
        tokens: vec![(access_token("ci"), secret_token("chosen"))],
        refused: 1,
        counts: (2, 1),
    };
    let objects = built(&broker, &valid);
    insta::assert_snapshot!(shown(&objects));
    let summary = objects.summary;
    assert_eq!(
        (summary.repositories, summary.tokens, summary.refused),
        (2, 1, 1)
    );
}

/// A state that is built again is the same, byte for byte: nothing is written that is so already.
#[test]
fn the_same_input_gives_the_same_objects() {
    let broker = broker(&json!({}));
    let valid = || Valid {
        repositories: vec![
            (repository("a", &json!({})), None),
            (repository("b", &json!({})), None),
        ],
        ..Valid::default()
    };
    let (one, other) = (built(&broker, &valid()), built(&broker, &valid()));
    assert_eq!(one.digest, other.digest);
    assert_eq!(shown(&one), shown(&other));
    assert_ne!(one.digest, built(&broker, &Valid::default()).digest);
}

/// Tools track objects by labels and annotations: a child that had those of its parent would be taken for theirs.
#[test]
fn children_have_no_labels_of_their_parent() {
    let objects = built(&broker(&json!({})), &Valid::default());
    for metadata in [
        objects.state.meta(),
        objects.volume.meta(),
        objects.service.meta(),
        objects.deployment.meta(),
    ] {
        let labels = metadata.labels.clone().unwrap_or_default();
        assert!(
            labels
                .keys()
                .all(|key| key.starts_with("app.kubernetes.io/")),
            "{labels:?}"
        );
        assert_eq!(metadata.annotations, None);
    }
}

#[test]
fn one_secret_for_two_is_there_once() {
    let data = || SecretData::from([("token".to_owned(), b"x".to_vec().into())]);
    let named = json!({"credentialsSecretRef": {"name": "both"}});
    let valid = Valid {
        repositories: vec![
            (repository("a", &named), Some(data())),
            (repository("b", &named), Some(data())),
        ],
        tokens: vec![(access_token("ci"), secret_token("both"))],
        ..Valid::default()
    };
    let objects = built(&broker(&json!({})), &valid);
    let state: Value =
        serde_json::from_slice(&objects.state.data.unwrap()["state.json"].0).unwrap();
    let items = state["items"].as_array().unwrap();
    let secrets: Vec<&Value> = items
        .iter()
        .filter(|item| item["kind"] == "Secret")
        .collect();
    assert_eq!(secrets.len(), 1);
    let keys: Vec<&String> = secrets[0]["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["password", "token"]);
}

/// The names, ends and keys of the tokens in a state.
fn tokens_in(objects: &Objects) -> Vec<(String, Value, String)> {
    let bytes = &objects.state.data.as_ref().unwrap()["state.json"].0;
    let state: Value = serde_json::from_slice(bytes).unwrap();
    let items = state["items"].as_array().unwrap();
    let tokens = items.iter().filter(|item| item["kind"] == "AccessToken");
    tokens
        .map(|token| {
            assert!(admit(token).is_ok(), "{token}");
            let spec = &token["spec"];
            for field in ["ttl", "rotation", "secret", "suspend"] {
                assert!(spec.get(field).is_none(), "{token}");
            }
            let key = spec["existingSecretRef"]["key"].as_str().unwrap();
            let name = token["metadata"]["name"].as_str().unwrap();
            let end = spec.get("expiresAt").cloned().unwrap_or_default();
            (name.to_owned(), end, key.to_owned())
        })
        .collect()
}

/// A token that was issued, with the one before it.
fn rotated(name: &str, spec: &Value, text: &str, previous: &str) -> (Arc<AccessToken>, Token) {
    let mut object = AccessToken::clone(&access_token(name));
    let mut with = serde_json::to_value(&object.spec).unwrap();
    for (field, value) in spec.as_object().unwrap() {
        with[field] = value.clone();
    }
    object.spec = serde_json::from_value(with).unwrap();
    let hash = |text: &SecretString| token::check(text).unwrap();
    let previous = SecretString::from(previous);
    let mut found = secret_token(name);
    found.text = SecretString::from(text);
    found.hash = hash(&found.text);
    found.record = Record {
        issued_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        previous: Some(Previous {
            hash: hash(&previous),
            text: previous,
            valid_until: "2026-01-02T00:00:00Z".parse().unwrap(),
        }),
        ..Record::default()
    };
    (Arc::new(object), found)
}

/// What a broker is given has ends and no spans of time: it does not know since when there is a token.
#[test]
fn tokens_have_ends_and_the_ones_before_are_there_too() {
    let (one, other, old, third) = (
        "a-token-of-thirty-two-characters",
        "another-token-that-is-long-enough",
        "a-token-whose-place-another-took",
        "one-more-token-whose-place-is-taken",
    );
    let rotation = json!({"rotation": {"interval": "48h", "overlap": "24h"}});
    let bounded = json!({"rotation": rotation["rotation"], "expiresAt": "2026-01-01T12:00:00.5Z"});
    let tokens = |tokens| Valid {
        tokens,
        ..Valid::default()
    };
    let valid = tokens(vec![
        rotated("ci", &rotation, one, old),
        rotated("ci.previous", &json!({"ttl": "30h"}), other, third),
    ]);
    let objects = built(&broker(&json!({})), &valid);
    let named = |name: &str, end: Value, key: &str| (name.to_owned(), end, key.to_owned());
    assert_eq!(
        tokens_in(&objects),
        [
            named("ci", Value::Null, "password"),
            named("ci.previous-2", json!("2026-01-02T00:00:00Z"), "previous"),
            named("ci.previous", json!("2026-01-02T06:00:00Z"), "password"),
            named(
                "ci.previous.previous",
                json!("2026-01-02T00:00:00Z"),
                "previous"
            ),
        ]
    );
    // What one has now is not what another had before, and all of an object ends with it.
    let valid = tokens(vec![
        rotated("a", &bounded, one, other),
        rotated("b", &bounded, other, old),
        rotated("c", &bounded, third, old),
    ]);
    let end = || json!("2026-01-01T12:00:00Z");
    assert_eq!(
        tokens_in(&built(&broker(&json!({})), &valid)),
        [
            named("a", end(), "password"),
            named("b", end(), "password"),
            named("b.previous", end(), "previous"),
            named("c", end(), "password"),
        ]
    );
}

#[test]
fn what_a_secret_cannot_hold_is_refused_with_a_way_out() {
    let long = format!("https://git.example.com/{}.git", "x".repeat(1_900));
    let many = (0..1_000).map(|n| (repository(&format!("r{n}"), &json!({"url": long})), None));
    let valid = Valid {
        repositories: many.collect(),
        ..Valid::default()
    };
    let error = build(&broker(&json!({})), &valid, &images()).unwrap_err();
    assert!(matches!(error, BuildError::TooLarge(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains("spread them over several PackageBrokers")
    );
}

#[test]
fn images_are_split_at_tag_or_digest() {
    for (image, name, suffix) in [
        ("package-broker", "package-broker", ""),
        ("localhost:5000/broker", "localhost:5000/broker", ""),
        (
            "r.example.com:5000/a/broker:1.2",
            "r.example.com:5000/a/broker",
            ":1.2",
        ),
        ("a/broker:1@sha256:ab", "a/broker:1", "@sha256:ab"),
    ] {
        assert_eq!(split(image), (name, suffix), "{image}");
    }
}
