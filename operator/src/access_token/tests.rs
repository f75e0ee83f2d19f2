//! What is made of what is in a Secret.

mod life;
mod owner;
mod status;

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use package_broker_crds::{AccessToken, PackageBroker, ROTATE_REQUESTED_AT, Reason};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    build::build,
    dereference::Found,
    validate::{Valid, judge, validate},
};

const OWN: &str = "a-token-of-thirty-two-characters";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-01-01T00:00:00.7Z")
}

fn token(spec: &Value) -> AccessToken {
    let mut object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "AccessToken",
        "metadata": {"name": "ci", "namespace": "team", "uid": "7", "creationTimestamp": "2026-01-02T00:00:00Z"},
        "spec": {"brokerRef": {"name": "main"}},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

fn broker(url: &Value) -> Arc<PackageBroker> {
    let object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "PackageBroker",
        "metadata": {"name": "main", "namespace": "team"}, "spec": {"externalUrl": url},
    });
    Arc::new(serde_json::from_value(object).unwrap())
}

/// A Secret with a password, of the token with this uid.
fn secret(password: Option<&str>, owner: &str) -> Secret {
    let mut secret: Secret = serde_json::from_value(json!({
        "metadata": {"name": "ci", "ownerReferences": [{
            "apiVersion": "package.broker/v1alpha1", "kind": "AccessToken", "name": "ci", "uid": owner, "controller": true,
        }]},
    }))
    .unwrap();
    let password =
        password.map(|text| ("password".to_owned(), ByteString(text.as_bytes().to_vec())));
    secret.data = Some(password.into_iter().collect());
    secret
}

fn found(secret: Option<Secret>) -> Found {
    Found {
        broker: Some(broker(&json!("https://packages.example.com/composer"))),
        secret,
        admitted: Ok(()),
        others: Vec::new(),
        live: None,
    }
}

/// What is in the Secret that is built.
fn built(token: &AccessToken, found: &Found) -> Option<(String, Value)> {
    let wanted = build(token, found, &validate(token, found), now()).unwrap()?;
    let data = wanted.secret.data.unwrap();
    let text = |key: &str| String::from_utf8(data[key].0.clone()).unwrap();
    assert_eq!(text("username"), "token");
    assert_eq!(text("password"), wanted.token.text.expose_secret());
    assert_eq!(
        wanted.secret.type_.as_deref(),
        Some("kubernetes.io/basic-auth")
    );
    Some((
        text("password"),
        serde_json::from_str(&text("auth.json")).unwrap(),
    ))
}

#[test]
fn a_token_is_made_and_then_kept() {
    let token = token(&json!({}));
    let (made, auth) = built(&token, &found(None)).unwrap();
    assert!(made.starts_with("pb_"));
    assert_eq!(
        auth,
        json!({"http-basic": {"packages.example.com": {"username": "token", "password": made}}})
    );
    let (kept, _) = built(&token, &found(Some(secret(Some(&made), "7")))).unwrap();
    assert_eq!(kept, made);
}

#[test]
fn what_somebody_wrote_is_taken_over_or_mended() {
    let token = token(&json!({}));
    let (text, auth) = built(&token, &found(Some(secret(Some(OWN), "7")))).unwrap();
    assert_eq!(text, OWN);
    assert!(auth.to_string().contains(OWN));
    for broken in [None, Some("short"), Some("pb_cut")] {
        let (made, _) = built(&token, &found(Some(secret(broken, "7")))).unwrap();
        assert!(made.starts_with("pb_") && made.len() > 40, "{broken:?}");
    }
}

#[test]
fn secrets_of_others_are_not_touched() {
    let token = token(&json!({}));
    let found = found(Some(secret(Some(OWN), "8")));
    assert!(
        matches!(&validate(&token, &found), Valid::Refused(refusal) if refusal.reason == Reason::Conflict)
    );
    assert!(built(&token, &found).is_none());
}

#[test]
fn nothing_is_made_before_there_is_a_broker() {
    let without = Found {
        broker: None,
        ..found(None)
    };
    assert!(built(&token(&json!({})), &without).is_none());
}

#[test]
fn a_brought_token_is_read_and_nothing_is_written() {
    let token = token(&json!({"existingSecretRef": {"name": "mine", "key": "password"}}));
    let present = found(Some(secret(Some(&format!("{OWN}\n")), "none")));
    let Valid::Present(read) = validate(&token, &present) else {
        panic!("not taken")
    };
    assert_eq!(read.text.expose_secret(), OWN);
    assert!(built(&token, &present).is_none());
    for (secret, reason) in [
        (None, Reason::SecretNotFound),
        (Some(secret(None, "7")), Reason::InvalidSecret),
        (Some(secret(Some("short"), "7")), Reason::InvalidSecret),
    ] {
        let Valid::Refused(refusal) = validate(&token, &found(secret)) else {
            panic!("not refused")
        };
        assert_eq!(refusal.reason, reason);
        assert!(!refusal.message.contains(OWN));
    }
}

#[test]
fn of_two_objects_with_one_token_the_older_has_it() {
    let younger = token(&json!({}));
    let mut older = token(&json!({}));
    older.metadata.name = Some("first".to_owned());
    older.metadata.creation_timestamp =
        serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap();
    let hash = package_broker_core::domain::token::check(&OWN.to_owned().into()).unwrap();
    older.status = serde_json::from_value(json!({"fingerprint": hash.fingerprint()})).unwrap();
    let both = |other: AccessToken| Found {
        others: vec![Arc::new(other)],
        ..found(Some(secret(Some(OWN), "7")))
    };
    let Valid::Refused(refusal) = validate(&younger, &both(older.clone())) else {
        panic!("not refused")
    };
    assert_eq!(refusal.reason, Reason::Conflict);
    assert!(refusal.message.contains("\"first\""));
    // Seen from the other side, there is nothing wrong.
    let mut younger = younger;
    younger.status.clone_from(&older.status);
    assert!(matches!(
        validate(&older, &both(younger)),
        Valid::Present(_)
    ));
}
