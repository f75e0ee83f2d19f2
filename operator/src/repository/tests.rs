//! How it stands with a repository, from what was found.

use std::sync::Arc;

use package_broker_crds::{PackageBroker, Reason, Repository};
use package_broker_kinds::SecretData;
use serde_json::{Value, json};

use super::{
    dereference::{Found, Named, NamedSecrets},
    validate::validate,
};
use crate::runtime::{
    conditions::Verdict,
    live::{Live, LiveRepository, named},
};

fn repository(spec: &Value) -> Repository {
    let mut object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "Repository",
        "metadata": {"name": "lib", "namespace": "team", "generation": 2},
        "spec": {"brokerRef": {"name": "main"}, "type": "git", "url": "https://git.example.com/acme/lib.git"},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn broker(spec: &Value) -> Arc<PackageBroker> {
    let object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "PackageBroker",
        "metadata": {"name": "main", "namespace": "team"}, "spec": spec,
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

/// What a broker says of the repository.
fn live(said: &Value) -> Arc<Live> {
    let mut repository = json!({"name": "lib", "generation": 2, "packages": 1, "versions": 3});
    for (field, value) in said.as_object().into_iter().flatten() {
        repository[field] = value.clone();
    }
    let repository: LiveRepository = serde_json::from_value(repository).unwrap();
    Arc::new(Live {
        repositories: named([repository]),
        ..Live::default()
    })
}

fn found(said: &Value) -> Found {
    Found {
        broker: Some(broker(&json!({}))),
        live: Some(live(said)),
        admitted: Ok(()),
        secrets: NamedSecrets::default(),
    }
}

/// What is found with such a Secret.
fn of_secret(credentials: Named) -> Found {
    Found {
        secrets: NamedSecrets {
            credentials,
            webhook: Named::None,
        },
        ..found(&synced(None, false))
    }
}

fn synced(error: Option<&str>, lasting: bool) -> Value {
    json!({"lastSync": {"started": "2026-01-01T00:00:00Z", "seconds": 1.5, "error": error, "lasting": lasting}})
}

fn reason(verdict: &Verdict) -> (&'static str, Option<Reason>) {
    match verdict {
        Verdict::Ready(_) => ("Ready", None),
        Verdict::Progressing(reason, _) => ("Progressing", Some(*reason)),
        Verdict::Retrying(reason, _) => ("Retrying", Some(*reason)),
        Verdict::Stalled(reason, _) => ("Stalled", Some(*reason)),
        Verdict::Suspended => ("Suspended", None),
    }
}

#[test]
fn each_state_has_its_verdict() {
    let plain = json!({});
    let secured = json!({"credentialsSecretRef": {"name": "gitlab"}});
    let local = json!({"url": "file:///srv/git/lib.git"});
    let wrong = SecretData::from([("username".to_owned(), b"ci".to_vec().into())]);
    let right = SecretData::from([("token".to_owned(), b"x".to_vec().into())]);
    for (spec, found, expected) in [
        (
            &plain,
            Found {
                broker: None,
                ..found(&plain)
            },
            ("Progressing", Some(Reason::NotFound)),
        ),
        (&local, found(&plain), ("Stalled", Some(Reason::NotAllowed))),
        (
            &secured,
            of_secret(Named::Missing),
            ("Progressing", Some(Reason::SecretNotFound)),
        ),
        (
            &secured,
            of_secret(Named::Found(wrong)),
            ("Stalled", Some(Reason::InvalidSecret)),
        ),
        (&secured, of_secret(Named::Found(right)), ("Ready", None)),
        (
            &json!({"suspend": true}),
            found(&synced(None, false)),
            ("Suspended", None),
        ),
        (
            &plain,
            Found {
                live: None,
                ..found(&plain)
            },
            ("Progressing", Some(Reason::DependencyNotReady)),
        ),
        (
            &plain,
            found(&json!({"generation": 1})),
            ("Progressing", Some(Reason::DependencyNotReady)),
        ),
        (
            &plain,
            found(&plain),
            ("Progressing", Some(Reason::Progressing)),
        ),
        (
            &plain,
            found(&synced(Some("no answer"), false)),
            ("Retrying", Some(Reason::SyncFailed)),
        ),
        (
            &plain,
            found(&synced(Some("no list"), true)),
            ("Stalled", Some(Reason::SyncFailed)),
        ),
        (&plain, found(&synced(None, false)), ("Ready", None)),
    ] {
        let verdict = validate(&repository(spec), &found);
        assert_eq!(reason(&verdict), expected, "{spec} {found:?}");
    }
}

#[test]
fn a_webhook_has_its_verdict() {
    let called = json!({"webhook": {"secretRef": {"name": "hook"}}});
    let of_webhook = |webhook: Named| Found {
        secrets: NamedSecrets {
            credentials: Named::None,
            webhook,
        },
        ..found(&synced(None, false))
    };
    let hook =
        |text: &str| SecretData::from([("secret".to_owned(), text.as_bytes().to_vec().into())]);
    for (spec, found, expected) in [
        (
            &called,
            of_webhook(Named::Missing),
            ("Progressing", Some(Reason::SecretNotFound)),
        ),
        (
            &called,
            of_webhook(Named::Found(hook("too short"))),
            ("Stalled", Some(Reason::InvalidSecret)),
        ),
        (
            &called,
            of_webhook(Named::Found(hook("0123456789abcdef"))),
            ("Ready", None),
        ),
    ] {
        let verdict = validate(&repository(spec), &found);
        assert_eq!(reason(&verdict), expected, "{spec} {found:?}");
    }
}

#[test]
fn a_schedule_that_never_comes_is_told() {
    let scheduled = |schedule: &str| {
        let repository = repository(&json!({"sync": {"schedule": schedule}}));
        validate(&repository, &found(&synced(None, false)))
    };
    assert_eq!(reason(&scheduled("0 0 29 2 *")), ("Ready", None));
    let message = "spec.sync.schedule: \"0 0 31 2 *\" never comes: there is no such day in these months; \
                   name a day that one of the months has";
    assert_eq!(
        scheduled("0 0 31 2 *"),
        Verdict::Stalled(Reason::InvalidSpec, message.to_owned())
    );
}

#[test]
fn what_is_served_is_counted() {
    let verdict = validate(&repository(&json!({})), &found(&synced(None, false)));
    assert_eq!(
        verdict,
        Verdict::Ready("1 package and 3 versions are served".to_owned())
    );
}
