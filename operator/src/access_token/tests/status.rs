//! What is said of a token in every combination of what there is to say.

use package_broker_crds::{AccessTokenStatus, ConditionType};

use super::{
    super::{
        apply::Applied,
        status::{Said, Times, said},
    },
    *,
};
use crate::runtime::{
    conditions::find,
    live::{Live, LiveToken, named},
};

/// What is found of a token two days after it was made, with what its broker takes.
fn look(spec: &Value, is_taken: bool, time: &str) -> (Said, Option<Timestamp>) {
    let mut object = token(spec);
    object.metadata.generation = Some(1);
    let mut found = found(None);
    let first = build(&object, &found, &validate(&object, &found), now()).unwrap();
    found.secret = first.map(|first| first.secret);
    if spec.get("existingSecretRef").is_some() {
        found.secret = Some(secret(Some(OWN), "none"));
    }
    let valid = validate(&object, &found);
    let wanted = build(&object, &found, &valid, at(time)).unwrap();
    let made = match (wanted, valid) {
        (Some(wanted), _) => wanted.token,
        (None, Valid::Present(present)) => present,
        _ => panic!("no token"),
    };
    let live = LiveToken {
        name: "ci".to_owned(),
        generation: Some(1),
        fingerprint: made.hash.fingerprint(),
    };
    found.live = Some(Arc::new(Live {
        access_tokens: named(is_taken.then_some(live)),
        ..Live::default()
    }));
    let applied = Applied::unwritten(Ok(Some(made)));
    let times = Times::of(&object, &applied);
    let said = said(&object, &found, &applied, &times, at(time));
    (said, times.next(at(time)))
}

fn reason(status: &AccessTokenStatus, type_: ConditionType) -> String {
    let found = find(&status.conditions, type_);
    found.map_or(String::new(), |found| {
        format!("{} {}", found.status, found.reason)
    })
}

/// The times of a status: until when, when next, since when rotated, and until when the one before.
fn times(status: &AccessTokenStatus) -> [Option<String>; 4] {
    [
        &status.expires_at,
        &status.next_rotation_time,
        &status.rotated_at,
        &status.previous_valid_until,
    ]
    .map(|time| time.as_ref().map(|time| time.0.to_string()))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_combination_is_told() {
    const LOOK: &str = "2026-01-03T00:00:00Z";
    const EARLIER: &str = "2026-01-02T00:00:00Z";
    const LATER: &str = "2026-01-05T00:00:00Z";
    let rotation = |interval: &str| json!({"interval": interval, "overlap": "12h"});
    let day = |day: u32, hour: u32| Some(format!("2026-01-{day:02}T{hour:02}:00:00Z"));
    let none = [None, None, None, None];
    // The spec; what it says when the broker takes the token, and when it does not; the times; when next.
    let table = [
        (
            json!({}),
            "True Succeeded",
            "False DependencyNotReady",
            none.clone(),
            None,
        ),
        (
            json!({"expiresAt": LATER}),
            "True Succeeded",
            "False DependencyNotReady",
            [day(5, 0), None, None, None],
            day(5, 0),
        ),
        (
            json!({"expiresAt": EARLIER}),
            "False Expired",
            "False Expired",
            [day(2, 0), None, None, None],
            None,
        ),
        (
            json!({"ttl": "72h"}),
            "True Succeeded",
            "False DependencyNotReady",
            [day(4, 0), None, None, None],
            day(4, 0),
        ),
        (
            json!({"ttl": "48h"}),
            "False Expired",
            "False Expired",
            [day(3, 0), None, None, None],
            None,
        ),
        (
            json!({"rotation": rotation("72h")}),
            "True Succeeded",
            "False DependencyNotReady",
            [None, day(4, 0), None, None],
            day(4, 0),
        ),
        (
            json!({"rotation": rotation("48h")}),
            "True Succeeded",
            "False DependencyNotReady",
            [None, day(5, 0), day(3, 0), day(3, 12)],
            day(3, 12),
        ),
        (
            json!({"rotation": rotation("48h"), "expiresAt": LATER}),
            "True Succeeded",
            "False DependencyNotReady",
            [day(5, 0), None, day(3, 0), day(3, 12)],
            day(3, 12),
        ),
        (
            json!({"rotation": rotation("48h"), "expiresAt": EARLIER}),
            "False Expired",
            "False Expired",
            [day(2, 0), None, None, None],
            None,
        ),
    ];
    for (spec, taken, not_taken, expected, next) in table {
        let is_over = taken == "False Expired";
        for is_taken in [true, false] {
            let (Said { status, is_waiting }, then) = look(&spec, is_taken, LOOK);
            let ready = if is_taken { taken } else { not_taken };
            assert_eq!(reason(&status, ConditionType::Ready), ready, "{spec}");
            assert_eq!(is_waiting, ready.contains("NotReady"), "{spec}");
            let stalled = if is_over { "True Expired" } else { "" };
            assert_eq!(reason(&status, ConditionType::Stalled), stalled, "{spec}");
            assert_eq!(reason(&status, ConditionType::Expired), stalled, "{spec}");
            assert_eq!(times(&status), expected, "{spec}");
            assert_eq!(then.map(|then| then.to_string()), next, "{spec}");
        }
        // Suspended, it is refused, and nothing is rotated; a time that is over is over.
        let mut suspended = spec.clone();
        suspended["suspend"] = true.into();
        let (Said { status, is_waiting }, _) = look(&suspended, false, LOOK);
        let ready = if is_over {
            "False Expired"
        } else {
            "False Suspended"
        };
        assert_eq!(reason(&status, ConditionType::Ready), ready, "{spec}");
        assert_eq!(
            reason(&status, ConditionType::Registered),
            "False Suspended",
            "{spec}"
        );
        assert_eq!(times(&status)[1..], [None, None, None], "{spec}");
        assert_eq!(times(&status)[0], expected[0], "{spec}");
        assert!(!is_waiting, "{spec}");
    }
}

#[test]
fn a_message_names_the_field_and_the_way_out() {
    let said = |spec: &Value| {
        let (said, _) = look(spec, true, "2026-01-09T00:00:00Z");
        find(&said.status.conditions, ConditionType::Ready)
            .unwrap()
            .message
            .clone()
    };
    assert!(
        said(&json!({"expiresAt": "2026-01-02T00:00:00Z"}))
            .starts_with("spec.expiresAt has passed; set")
    );
    let over = said(&json!({"ttl": "1h"}));
    assert!(over.starts_with(
        "the token is older than spec.ttl; set the annotation package.broker/rotate-requested-at"
    ));
    let own = json!({"existingSecretRef": {"name": "ci", "key": "password"}});
    assert_eq!(
        said(&own),
        "the token in Secret \"ci\", key \"password\", is valid"
    );
}

/// Nothing is written when nothing happened: what is read back is what would be said again.
#[test]
fn the_same_look_says_the_same() {
    for spec in [
        json!({"expiresAt": "2026-01-05T00:00:00.7Z"}),
        json!({"ttl": "72h1ms"}),
        json!({"rotation": {"interval": "48h", "overlap": "12h1ms"}}),
    ] {
        let (first, _) = look(&spec, true, "2026-01-03T00:00:00.9Z");
        let text = serde_json::to_value(&first.status).unwrap();
        let read: AccessTokenStatus = serde_json::from_value(text).unwrap();
        assert_eq!(
            (
                read.expires_at,
                read.next_rotation_time,
                read.rotated_at,
                read.previous_valid_until
            ),
            (
                first.status.expires_at,
                first.status.next_rotation_time,
                first.status.rotated_at,
                first.status.previous_valid_until
            )
        );
    }
}

#[test]
fn a_missing_broker_is_named_with_the_namespace_it_was_looked_for_in() {
    for (broker_ref, namespace) in [
        (json!({"name": "main"}), "team"),
        (json!({"name": "main", "namespace": "platform"}), "platform"),
    ] {
        let object = token(&json!({"brokerRef": broker_ref}));
        let found = Found {
            broker: None,
            ..found(None)
        };
        let applied = Applied::unwritten(Ok(None));
        let times = Times::of(&object, &applied);
        let said = said(&object, &found, &applied, &times, now());
        let ready = find(&said.status.conditions, ConditionType::Ready).unwrap();
        assert_eq!(ready.reason, "NotFound");
        let named = format!("\"main\" in namespace {namespace};");
        assert!(ready.message.contains(&named), "{}", ready.message);
    }
}
