mod surroundings;
mod tokens;

use std::{collections::BTreeMap, sync::Arc};

use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Secret};
use kube::Resource;
use package_broker_core::domain::{keyring::KeyRing, token::TokenHash};
use package_broker_crds::{AccessToken, PackageBroker, Repository};
use package_broker_kinds::{RepositorySecrets, SecretData};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Backing, BuildError, Embedded, Objects, build, split};
use crate::{
    access_token::Taken,
    args::Images,
    package_broker::{
        servers::{Servers, validate},
        validate::Valid,
    },
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

fn taken(text: &str) -> Taken {
    Taken {
        hash: TokenHash::of(text),
        issued_at: None,
        previous: None,
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

fn embedded(broker: &PackageBroker, valid: &Valid) -> (Objects, Embedded) {
    let mut objects = built(broker, valid);
    let nothing = Backing::Embedded(Box::new(Embedded {
        state: Secret::default(),
        digest: String::new(),
        volume: PersistentVolumeClaim::default(),
    }));
    match std::mem::replace(&mut objects.backing, nothing) {
        Backing::Embedded(embedded) => (objects, *embedded),
        Backing::Servers(_) => panic!("it has a database"),
    }
}

/// The objects as JSON, with the state readable.
fn shown(objects: &Objects) -> String {
    let json = |object: &dyn erased::Shown| object.shown();
    let mut all = match &objects.backing {
        Backing::Embedded(embedded) => {
            let mut state = json(&embedded.state);
            let bytes = &embedded.state.data.as_ref().unwrap()["state.json"].0;
            state["data"]["state.json"] = serde_json::from_slice(bytes).unwrap();
            vec![state, json(&embedded.volume)]
        }
        Backing::Servers(replicated) => {
            let mut settings = json(&replicated.settings);
            let text = &replicated.settings.data.as_ref().unwrap()["settings.json"];
            settings["data"]["settings.json"] = serde_json::from_str(text).unwrap();
            vec![settings, json(&replicated.migration)]
        }
    };
    all.extend([json(&objects.service), json(&objects.deployment)]);
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
    let webhook = SecretData::from([("secret".to_owned(), b"hunter3".to_vec().into())]);
    let valid = Valid {
        repositories: vec![(
            repository(
                "acme-lib",
                &json!({
                    "credentialsSecretRef": {"name": "gitlab"}, "webhook": {"secretRef": {"name": "hook"}},
                }),
            ),
            RepositorySecrets {
                credentials: Some(data),
                webhook: Some(webhook),
            },
        )],
        tokens: vec![(access_token("ci"), taken("a-token"))],
        refused: 1,
        counts: (2, 1),
        servers: None,
        administrator: Some(
            [
                ("username".to_owned(), b"admin".to_vec().into()),
                ("password".to_owned(), b"hunter4".to_vec().into()),
            ]
            .into(),
        ),
        versions: BTreeMap::new(),
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
            (repository("a", &json!({})), RepositorySecrets::default()),
            (repository("b", &json!({})), RepositorySecrets::default()),
        ],
        ..Valid::default()
    };
    assert_eq!(
        shown(&built(&broker, &valid())),
        shown(&built(&broker, &valid()))
    );
    let digest = |valid: &Valid| embedded(&broker, valid).1.digest;
    assert_eq!(digest(&valid()), digest(&valid()));
    assert_ne!(digest(&valid()), digest(&Valid::default()));
}

/// Tools track objects by labels and annotations: a child that had those of its parent would be taken for theirs.
#[test]
fn children_have_no_labels_of_their_parent() {
    let (objects, beneath) = embedded(&broker(&json!({})), &Valid::default());
    for metadata in [
        beneath.state.meta(),
        beneath.volume.meta(),
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
    let data = || RepositorySecrets {
        credentials: Some([("token".to_owned(), b"x".to_vec().into())].into()),
        webhook: None,
    };
    let named = json!({"credentialsSecretRef": {"name": "both"}});
    let valid = Valid {
        repositories: vec![
            (repository("a", &named), data()),
            (repository("b", &named), data()),
        ],
        ..Valid::default()
    };
    let (_, beneath) = embedded(&broker(&json!({})), &valid);
    let state: Value =
        serde_json::from_slice(&beneath.state.data.unwrap()["state.json"].0).unwrap();
    let items = state["items"].as_array().unwrap();
    let secrets: Vec<&Value> = items
        .iter()
        .filter(|item| item["kind"] == "Secret")
        .collect();
    assert_eq!(secrets.len(), 1);
    let keys: Vec<&String> = secrets[0]["data"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["token"]);
}

/// A broker on servers, and the Secrets that lead to them.
fn on_servers() -> (PackageBroker, BTreeMap<String, SecretData>) {
    let broker = broker(&json!({
        "externalUrl": "https://packages.example.com",
        "database": {
            "host": "postgres.databases.svc", "name": "packages", "sslMode": "verify-full",
            "credentialsSecretRef": {"name": "database"}, "caSecretRef": {"name": "ca", "key": "ca.crt"},
        },
        "storage": {"s3": {
            "bucket": "packages", "endpoint": "https://s3.example.com", "prefix": "php",
            "credentialsSecretRef": {"name": "bucket"},
        }},
        "cache": {"redis": {"secretRef": {"name": "redis", "key": "url"}}},
        "replicas": 3,
    }));
    // The same each time: names are made of digests.
    let keys = SecretString::from(format!("k1 {}=\n", "A".repeat(43)));
    KeyRing::parse(keys.expose_secret()).unwrap();
    let secrets = [
        (
            "database",
            vec![("username", "php@team"), ("password", "hunter2")],
        ),
        ("ca", vec![("ca.crt", "-----BEGIN CERTIFICATE-----\n")]),
        (
            "bucket",
            vec![("accessKeyId", "GK1"), ("secretAccessKey", "hunter3")],
        ),
        ("redis", vec![("url", "redis://:hunter4@redis:6379")]),
        ("main-keys", vec![("keys", keys.expose_secret())]),
    ];
    let secrets = secrets.map(|(name, data)| {
        let data = data.into_iter();
        let data = data.map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec().into()));
        (name.to_owned(), data.collect())
    });
    (broker, secrets.into())
}

fn valid_on(broker: &PackageBroker, secrets: &BTreeMap<String, SecretData>) -> Valid {
    let servers: Option<Servers> = validate(broker, secrets).unwrap();
    Valid {
        servers,
        ..Valid::default()
    }
}

#[test]
fn servers_are_settings_a_migration_and_pods() {
    let (broker, secrets) = on_servers();
    let text = shown(&built(&broker, &valid_on(&broker, &secrets)));
    assert!(!text.contains("hunter"), "{text}");
    insta::assert_snapshot!(text);
}

/// Pods are replaced when anything they read at their start has changed, and not otherwise.
#[test]
fn each_change_of_a_secret_is_another_configuration() {
    let (broker, secrets) = on_servers();
    let digest = |secrets: &BTreeMap<String, SecretData>| {
        let objects = built(&broker, &valid_on(&broker, secrets));
        let template = objects.deployment.spec.template.metadata.unwrap();
        template.annotations.unwrap()["package.broker/configuration"].clone()
    };
    let first = digest(&secrets);
    assert_eq!(first, digest(&secrets));
    for (name, key) in [
        ("database", "password"),
        ("redis", "url"),
        ("bucket", "secretAccessKey"),
    ] {
        let mut changed = secrets.clone();
        let value = b"redis://another".to_vec().into();
        changed.get_mut(name).unwrap().insert(key.to_owned(), value);
        assert_ne!(first, digest(&changed), "{name}");
    }
}

/// Keys are made where there are none, and never where there are some.
#[test]
fn keys_are_made_once() {
    let (broker, mut secrets) = on_servers();
    let keys =
        |secrets: &BTreeMap<String, SecretData>| match built(&broker, &valid_on(&broker, secrets))
            .backing
        {
            Backing::Servers(replicated) => replicated.new_keys,
            Backing::Embedded(_) => panic!("it has a database"),
        };
    assert_eq!(keys(&secrets), None);
    secrets.remove("main-keys");
    let made = keys(&secrets).unwrap();
    assert_eq!(made.metadata.owner_references, None);
    assert!(made.data.unwrap().contains_key("keys"));
}

#[test]
fn whatever_is_wrong_with_a_secret_is_told() {
    let (broker, secrets) = on_servers();
    let told = |change: &dyn Fn(&mut BTreeMap<String, SecretData>)| {
        let mut changed = secrets.clone();
        change(&mut changed);
        let faults = validate(&broker, &changed).unwrap_err();
        let told: Vec<String> = faults
            .iter()
            .map(|fault| format!("{:?} {}", fault.part, fault.refusal.message))
            .collect();
        told.join("\n")
    };
    let set = |secrets: &mut BTreeMap<String, SecretData>, name: &str, key: &str, value: &str| {
        let value = value.as_bytes().to_vec().into();
        secrets.get_mut(name).unwrap().insert(key.to_owned(), value);
    };
    let text = [
        told(&|secrets| drop(secrets.remove("database"))),
        told(&|secrets| drop(secrets.get_mut("database").unwrap().remove("password"))),
        told(&|secrets| set(secrets, "ca", "ca.crt", "hello")),
        told(&|secrets| drop(secrets.get_mut("bucket").unwrap().remove("accessKeyId"))),
        told(&|secrets| drop(secrets.remove("redis"))),
        told(&|secrets| set(secrets, "main-keys", "keys", "short")),
        told(&|secrets| drop(secrets.get_mut("main-keys").unwrap().remove("keys"))),
    ]
    .join("\n");
    assert!(!text.contains("hunter"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_secret_cannot_hold_is_refused_with_a_way_out() {
    let long = format!("https://git.example.com/{}.git", "x".repeat(1_900));
    let many = (0..1_000).map(|n| {
        (
            repository(&format!("r{n}"), &json!({"url": long})),
            RepositorySecrets::default(),
        )
    });
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
