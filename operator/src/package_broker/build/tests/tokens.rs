//! Tokens that end, and those whose place another took, as a broker in one pod is given them.

use package_broker_crds::validation::admit;

use super::*;

/// The names, ends and hashes of the tokens in a state.
fn tokens_in(valid: &Valid) -> Vec<(String, Value, String)> {
    let (_, embedded) = embedded(&broker(&json!({})), valid);
    let bytes = &embedded.state.data.as_ref().unwrap()["state.json"].0;
    let state: Value = serde_json::from_slice(bytes).unwrap();
    let items = state["items"].as_array().unwrap();
    let tokens = items.iter().filter(|item| item["kind"] == "AccessToken");
    tokens
        .map(|token| {
            assert!(admit(token).is_ok(), "{token}");
            let spec = &token["spec"];
            for field in ["ttl", "rotation", "secret", "suspend", "existingSecretRef"] {
                assert!(spec.get(field).is_none(), "{token}");
            }
            let metadata = &token["metadata"];
            let hash = &metadata["annotations"]["package.broker/token-sha256"];
            let end = spec.get("expiresAt").cloned().unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (text(&metadata["name"]), end, text(hash))
        })
        .collect()
}

/// A token that was issued, with the one before it.
fn rotated(name: &str, spec: &Value, text: &str, previous: &str) -> (Arc<AccessToken>, Taken) {
    let mut object = AccessToken::clone(&access_token(name));
    let mut with = serde_json::to_value(&object.spec).unwrap();
    for (field, value) in spec.as_object().unwrap() {
        with[field] = value.clone();
    }
    object.spec = serde_json::from_value(with).unwrap();
    let until = "2026-01-02T00:00:00Z".parse().unwrap();
    let token = Taken {
        issued_at: Some("2026-01-01T00:00:00Z".parse().unwrap()),
        previous: Some((TokenHash::of(previous), until)),
        ..taken(text)
    };
    (Arc::new(object), token)
}

/// What a broker is given has ends and no spans of time: it does not know since when there is a token. Nor does it get to
/// know any token.
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
    let named = |name: &str, end: Value, text: &str| {
        let hash = hex::encode(TokenHash::of(text).0);
        (name.to_owned(), end, hash)
    };
    assert_eq!(
        tokens_in(&valid),
        [
            named("ci", Value::Null, one),
            named("ci.previous-2", json!("2026-01-02T00:00:00Z"), old),
            named("ci.previous", json!("2026-01-02T06:00:00Z"), other),
            named("ci.previous.previous", json!("2026-01-02T00:00:00Z"), third),
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
        tokens_in(&valid),
        [
            named("a", end(), one),
            named("b", end(), other),
            named("b.previous", end(), old),
            named("c", end(), third),
        ]
    );
}
