//! Whose a Secret is, and what it has in its metadata.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn metadata(token: &AccessToken, secret: Option<Secret>) -> Result<ObjectMeta, String> {
    let found = found(secret);
    let valid = validate(token, &found);
    if let Valid::Refused(refusal) = &valid {
        return Err(refusal.message.clone());
    }
    let wanted = build(token, &found, &valid, now()).unwrap();
    Ok(wanted.unwrap().secret.metadata)
}

fn with(policy: &str, uid: &str) -> AccessToken {
    let mut token = token(&json!({"secret": {"creationPolicy": policy}}));
    token.metadata.uid = Some(uid.to_owned());
    token
}

fn left(metadata: ObjectMeta) -> Secret {
    let mut secret = secret(Some(OWN), "none");
    secret.metadata = metadata;
    secret
}

#[test]
fn a_secret_that_stays_has_no_owner_and_is_known_all_the_same() {
    let orphan = with("Orphan", "7");
    let made = metadata(&orphan, None).unwrap();
    assert_eq!(made.owner_references, None);
    let annotations = made.annotations.clone().unwrap();
    assert_eq!(annotations["package.broker/access-token"], "ci");
    assert_eq!(annotations["package.broker/access-token-uid"], "7");
    assert!(metadata(&orphan, Some(left(made.clone()))).is_ok());
    // Back and forth.
    let owned = metadata(&with("Owner", "7"), Some(left(made.clone()))).unwrap();
    assert_eq!(owned.owner_references.as_ref().map(Vec::len), Some(1));
    assert!(
        !owned
            .annotations
            .as_ref()
            .unwrap()
            .contains_key("package.broker/access-token")
    );
    let again = metadata(&orphan, Some(left(owned))).unwrap();
    assert_eq!(again.owner_references, None);
}

#[test]
fn what_an_earlier_object_left_is_taken_over_if_both_say_so() {
    let made = metadata(&with("Orphan", "7"), None).unwrap();
    assert!(metadata(&with("Orphan", "8"), Some(left(made.clone()))).is_ok());
    let said = metadata(&with("Owner", "8"), Some(left(made.clone()))).unwrap_err();
    assert!(
        said.contains("of an earlier AccessToken of this name; delete it"),
        "{said}"
    );
    // Not by one of another name, and not what belongs to somebody.
    let mut other = with("Orphan", "8");
    other.metadata.name = Some("deploy".to_owned());
    other.spec.secret.as_mut().unwrap().name = Some("ci".into());
    let said = metadata(&other, Some(left(made.clone()))).unwrap_err();
    assert!(said.contains("not of this AccessToken"), "{said}");
    let mut controlled = made;
    controlled.owner_references = secret(None, "9").metadata.owner_references;
    assert!(metadata(&with("Orphan", "8"), Some(left(controlled))).is_err());
}

/// A token that another object left would be valid again without anybody having said so.
#[test]
fn a_broker_gets_no_token_of_a_secret_that_is_not_the_tokens() {
    let made = metadata(&with("Orphan", "7"), None).unwrap();
    for (token, secret, taken) in [
        (with("Owner", "8"), left(made.clone()), false),
        (with("Orphan", "8"), left(made), true),
        (with("Owner", "8"), secret(Some(OWN), "7"), false),
        (with("Owner", "7"), secret(Some(OWN), "7"), true),
    ] {
        assert_eq!(judge(&token, Some(&secret)).is_ok(), taken);
    }
}

#[test]
fn the_template_adds_and_ours_stands() {
    let template = json!({
        "labels": {"team": "php", "app.kubernetes.io/managed-by": "somebody"},
        "annotations": {"example.com/note": "any text", "package.broker/issued-at": "never"},
    });
    let token = token(&json!({"secret": {"template": template}}));
    let made = metadata(&token, None).unwrap();
    let (labels, annotations) = (made.labels.unwrap(), made.annotations.unwrap());
    assert_eq!(labels["team"], "php");
    assert_eq!(
        labels["app.kubernetes.io/managed-by"],
        "package-broker-operator"
    );
    assert_eq!(labels["app.kubernetes.io/instance"], "main");
    assert_eq!(annotations["example.com/note"], "any text");
    assert_eq!(
        annotations["package.broker/issued-at"],
        "2026-01-01T00:00:00Z"
    );
}

/// The API server would not take them. The token that is there goes on being valid.
#[test]
fn keys_that_are_none_are_told() {
    for (template, field) in [
        (json!({"labels": {"a b": "x"}}), "labels[\"a b\"]"),
        (json!({"annotations": {"/x": "x"}}), "annotations[\"/x\"]"),
    ] {
        let token = token(&json!({"secret": {"template": template}}));
        let present = secret(Some(OWN), "7");
        let said = metadata(&token, Some(present.clone())).unwrap_err();
        let expected = format!("spec.secret.template.{field}: is not a key; write name or");
        assert!(said.starts_with(&expected), "{said}");
        assert!(judge(&token, Some(&present)).is_ok());
    }
}
