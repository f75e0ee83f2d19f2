//! How long tokens live, and what the Secrets are like that they are made in. Each beside a good neighbour, in `accepts`.

use serde_json::json;

use super::*;

#[test]
fn rejects_lives_that_do_not_fit() {
    const DURATION: &str =
        "is not a duration; write a number and a unit (ms, s, m, h), for instance 5m";
    const TWO_ENDS: &str =
        "spec.ttl: the token has an end already, in expiresAt; keep one of the two";
    const BROUGHT: &str =
        "spec.ttl: nobody knows since when there is a token of your own; write expiresAt instead";
    const OVERLAP: &str = "spec.rotation.overlap: not shorter than interval (left out, it is 24h); write a shorter overlap, or a longer interval";
    let rejected = [
        (
            json!({"ttl": "59s"}),
            "spec.ttl: shorter than 1m; write 1m or more, for instance 720h".to_owned(),
        ),
        (
            json!({"ttl": "30d"}),
            format!("spec.ttl: \"30d\" {DURATION}"),
        ),
        (
            json!({"ttl": "1h", "expiresAt": "2027-01-31T00:00:00Z"}),
            TWO_ENDS.to_owned(),
        ),
        (
            json!({"ttl": "1h", "existingSecretRef": {"name": "ci"}}),
            BROUGHT.to_owned(),
        ),
        (
            json!({"ttl": "1h", "rotation": {"interval": "48h"}}),
            "spec.ttl: each token lives for interval and overlap of rotation; remove this, or write expiresAt for the end of all of them".to_owned(),
        ),
        (
            json!({"rotation": {"interval": "48h"}, "existingSecretRef": {"name": "ci"}}),
            "spec.rotation: only tokens that are made here are rotated; remove this, or existingSecretRef".to_owned(),
        ),
        (
            json!({"rotation": {}}),
            "spec.rotation.interval: is required; add interval (How old a token becomes before a new one is made, at least `1m`)".to_owned(),
        ),
        (
            json!({"rotation": {"interval": "59s", "overlap": "1s"}}),
            "spec.rotation.interval: shorter than 1m; write 1m or more, for instance 720h".to_owned(),
        ),
        (
            json!({"rotation": {"interval": "1w", "overlap": "1s"}}),
            format!("spec.rotation.interval: \"1w\" {DURATION}"),
        ),
        (
            json!({"rotation": {"interval": "1h", "overlap": "1"}}),
            format!("spec.rotation.overlap: \"1\" {DURATION}"),
        ),
        (
            json!({"rotation": {"interval": "1h", "overlap": "60m"}}),
            OVERLAP.to_owned(),
        ),
        (
            json!({"rotation": {"interval": "24h"}}),
            OVERLAP.to_owned(),
        ),
    ];
    for (spec, expected) in rejected {
        assert_eq!(verdict(&token(spec.clone())), expected, "{spec}");
    }
}

#[test]
fn rejects_secrets_that_cannot_be_made() {
    const LABELS: &str = "spec.secret.template.labels: the operator sets app.kubernetes.io/name, instance and managed-by itself; remove them";
    let of = |template: Value| json!({"secret": {"template": template}});
    let rejected = [
        (
            json!({"secret": {"creationPolicy": "Merge"}}),
            "spec.secret.creationPolicy: \"Merge\" is not one of Owner, Orphan; write Owner or Orphan",
        ),
        (
            json!({"secret": {"name": "x"}, "existingSecretRef": {"name": "ci"}}),
            "spec.secret: the token is in a Secret of your own, so none is made; remove this, or existingSecretRef",
        ),
        (
            of(json!({"labels": {"app.kubernetes.io/name": "x"}})),
            LABELS,
        ),
        (
            of(json!({"labels": {"app.kubernetes.io/instance": "x"}})),
            LABELS,
        ),
        (
            of(json!({"labels": {"app.kubernetes.io/managed-by": "x"}})),
            LABELS,
        ),
        (
            of(json!({"labels": {"team": "a b"}})),
            "spec.secret.template.labels.team: \"a b\" is not the value of a label; use letters, digits, -, _ and ., or make it an annotation",
        ),
        (
            of(json!({"labels": {"team": "x".repeat(64)}})),
            "spec.secret.template.labels.team: is longer than 63 characters; shorten it",
        ),
        (
            of(json!({"labels": {"team": 1}})),
            "spec.secret.template.labels.team: is a number, not a string; put the value in quotes",
        ),
        (
            of(json!({"labels": texts(33)})),
            "spec.secret.template.labels: has more than 32 entries; remove some",
        ),
        (
            of(json!({"annotations": {"package.broker/issued-at": "2020-01-01T00:00:00Z"}})),
            "spec.secret.template.annotations: the operator sets what begins with package.broker/ itself; remove it",
        ),
        (
            of(json!({"annotations": {"note": "x".repeat(4097)}})),
            "spec.secret.template.annotations.note: is longer than 4096 characters; shorten it",
        ),
        (
            of(json!({"annotations": texts(33)})),
            "spec.secret.template.annotations: has more than 32 entries; remove some",
        ),
        (
            of(json!({"data": {}})),
            "spec.secret.template.data: unknown field; remove it; known here: annotations, labels",
        ),
    ];
    for (spec, expected) in rejected {
        assert_eq!(verdict(&token(spec.clone())), expected, "{spec}");
    }
}

#[test]
fn an_overlap_that_is_left_out_is_a_day() {
    let Ok(Admitted::AccessToken(token)) = admit(&token(json!({"rotation": {"interval": "48h"}})))
    else {
        panic!("not admitted")
    };
    let overlap = token.spec.rotation.map(|rotation| rotation.overlap);
    assert_eq!(
        overlap.map(|overlap| overlap.to_string()),
        Some("24h".to_owned())
    );
}
