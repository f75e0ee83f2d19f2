use serde_json::{Value, json};

use super::*;

const ISSUED: &str = "2026-01-01T00:00:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// A token with this spec, and with this request for a new one.
fn token(spec: &Value, request: Option<&str>) -> AccessToken {
    let mut object = json!({
        "apiVersion": "package.broker/v1alpha1", "kind": "AccessToken",
        "metadata": {"name": "ci"}, "spec": {"brokerRef": {"name": "main"}},
    });
    for (field, value) in spec.as_object().into_iter().flatten() {
        object["spec"][field] = value.clone();
    }
    if let Some(request) = request {
        object["metadata"]["annotations"] = json!({ROTATE_REQUESTED_AT: request});
    }
    serde_json::from_value(object).unwrap()
}

#[test]
fn ends_and_rotations_follow_from_the_time_of_issue() {
    let rotation = json!({"interval": "48h", "overlap": "24h"});
    for (spec, end, rotates) in [
        (json!({}), None, None),
        (json!({"ttl": "1h30m"}), Some("2026-01-01T01:30:00Z"), None),
        // Status and Secrets hold whole seconds.
        (
            json!({"ttl": "1m500ms"}),
            Some("2026-01-01T00:01:00Z"),
            None,
        ),
        (
            json!({"expiresAt": "2026-02-01T00:00:00.7Z"}),
            Some("2026-02-01T00:00:00Z"),
            None,
        ),
        (
            json!({"rotation": rotation}),
            None,
            Some("2026-01-03T00:00:00Z"),
        ),
        (json!({"rotation": rotation, "suspend": true}), None, None),
        (
            json!({"rotation": rotation, "expiresAt": "2026-01-04T00:00:00Z"}),
            Some("2026-01-04T00:00:00Z"),
            Some("2026-01-03T00:00:00Z"),
        ),
        (
            json!({"rotation": rotation, "expiresAt": "2026-01-03T00:00:00Z"}),
            Some("2026-01-03T00:00:00Z"),
            None,
        ),
        // Beyond what a calendar has.
        (
            json!({"ttl": "999999h999999h999999h"}),
            Some("2368-03-28T21:00:00Z"),
            None,
        ),
    ] {
        let token = token(&spec, None);
        let issued = Some(at(ISSUED));
        assert_eq!(expires_at(&token.spec, issued), end.map(at), "{spec}");
        assert_eq!(rotates_at(&token.spec, issued), rotates.map(at), "{spec}");
        assert_eq!(rotates_at(&token.spec, None), None, "{spec}");
    }
    let for_ever = token(&json!({"ttl": "1h"}), None);
    let last = expires_at(&for_ever.spec, Some(Timestamp::MAX));
    assert_eq!(last, Some(whole(Timestamp::MAX)));
}

/// Every combination of what decides, two days and a bit after the token was made.
#[test]
fn when_a_token_is_rotated() {
    let now = at("2026-01-03T00:00:01Z");
    let ends = [
        (json!({}), false),
        (json!({"expiresAt": "2026-01-09T00:00:00Z"}), false),
        (json!({"expiresAt": "2026-01-03T00:00:00Z"}), true),
    ];
    let rotations = [
        (json!({}), false),
        (
            json!({"rotation": {"interval": "48h", "overlap": "1h"}}),
            true,
        ),
        (
            json!({"rotation": {"interval": "49h", "overlap": "1h"}}),
            false,
        ),
    ];
    let requests = [
        (None, None, false),
        (Some("1"), Some("1"), false),
        (Some("2"), Some("1"), true),
        (Some("1"), None, true),
        (None, Some("1"), false),
    ];
    for (end, is_over) in &ends {
        for (rotation_spec, is_due) in &rotations {
            for (request, handled, is_asked) in requests {
                for suspend in [false, true] {
                    let mut spec = json!({"suspend": suspend});
                    for part in [end, rotation_spec] {
                        for (field, value) in part.as_object().unwrap() {
                            spec[field] = value.clone();
                        }
                    }
                    let expected = match (is_over, is_asked, *is_due && !suspend) {
                        (true, ..) | (false, false, false) => None,
                        (false, true, _) => Some(Rotation::Requested),
                        (false, false, true) => Some(Rotation::Due),
                    };
                    let token = token(&spec, request);
                    let decided = rotation(&token, Some(at(ISSUED)), handled, now);
                    assert_eq!(decided, expected, "{spec} {request:?} {handled:?}");
                }
            }
        }
    }
}

#[test]
fn a_token_of_ones_own_is_never_rotated() {
    let brought = token(&json!({"existingSecretRef": {"name": "x"}}), Some("1"));
    assert_eq!(rotation(&brought, None, None, at(ISSUED)), None);
}

/// A token whose `ttl` is over gets a successor if somebody asks for one, and not by itself.
#[test]
fn a_token_that_is_too_old_can_be_renewed() {
    let now = at("2026-01-02T00:00:00Z");
    let asked = |request| {
        let token = token(&json!({"ttl": "1h"}), request);
        rotation(&token, Some(at(ISSUED)), None, now)
    };
    assert_eq!(asked(None), None);
    assert_eq!(asked(Some("1")), Some(Rotation::Requested));
}

#[test]
fn the_token_before_is_valid_for_the_overlap() {
    let now = at(ISSUED);
    let of = |overlap: &str, end: Value| {
        let rotation = json!({"interval": "48h", "overlap": overlap});
        token(&json!({"rotation": rotation, "expiresAt": end}), None).spec
    };
    let until = |spec: &AccessTokenSpec| overlap(spec, &Rotation::Due, now);
    let day = of("24h", Value::Null);
    assert_eq!(until(&day), Some(at("2026-01-02T00:00:00Z")));
    assert_eq!(overlap(&day, &Rotation::Requested, now), None);
    assert_eq!(until(&of("0s", Value::Null)), None);
    let bounded = of("24h", json!("2026-01-01T12:00:00Z"));
    assert_eq!(until(&bounded), Some(at("2026-01-01T12:00:00Z")));
    assert_eq!(
        previous_expires_at(&bounded, at("2026-01-05T00:00:00Z")),
        at("2026-01-01T12:00:00Z")
    );
}

#[test]
fn the_token_before_has_a_name_that_nobody_else_has() {
    let free = |_: &str| false;
    assert_eq!(previous_name("ci", free), "ci.previous");
    let longest = "a".repeat(63);
    assert_eq!(previous_name(&longest, free).len(), 63);
    let dotted = format!("{}-.{}", "a".repeat(52), "b".repeat(9));
    assert_eq!(
        previous_name(&dotted, free),
        format!("{}.previous", "a".repeat(52))
    );
    let taken = ["ci.previous", "ci.previous-2"];
    assert_eq!(
        previous_name("ci", |name| taken.contains(&name)),
        "ci.previous-3"
    );
}
