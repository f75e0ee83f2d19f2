//! That faults of a status are found: each rule, and each version that breaks one.

use serde_json::{Value, json};

use super::{
    kstatus::{faults, faults_of_version},
    manifests::{repository, with},
    observer::{Observer, check},
    support::{Kube, Team},
};

fn condition(type_: &str, status: &str, reason: &str) -> Value {
    json!({
        "type": type_, "status": status, "reason": reason, "message": "it is so", "observedGeneration": 2,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    })
}

fn object(conditions: &[&Value]) -> Value {
    json!({
        "kind": "Repository", "metadata": {"name": "lib", "generation": 2}, "spec": {},
        "status": {"observedGeneration": 2, "conditions": conditions},
    })
}

/// An object with one thing changed.
fn but(mut object: Value, pointer: &str, value: Value) -> Value {
    *object.pointer_mut(pointer).unwrap() = value;
    object
}

fn only(faults: &[String], fault: &str) {
    assert_eq!(faults.len(), 1, "{faults:#?}, and not one: {fault}");
    assert!(faults[0].contains(fault), "{faults:#?}, and not {fault}");
}

#[test]
fn each_rule_can_be_broken() {
    let ready = condition("Ready", "True", "Succeeded");
    let failed = condition("Ready", "False", "SyncFailed");
    let retrying = condition("Reconciling", "True", "ProgressingWithRetry");
    let stalled = condition("Stalled", "True", "SyncFailed");
    for right in [
        object(&[&ready]),
        object(&[&failed, &retrying]),
        object(&[&failed, &stalled]),
        but(object(&[&ready]), "/metadata/generation", 3.into()),
        json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}}),
    ] {
        assert_eq!(faults_of_version(&right, None), [""; 0]);
    }
    let both = object(&[&ready, &retrying]);
    let done = condition("Reconciling", "False", "Succeeded");
    let other = condition("Stalled", "True", "NotFound");
    let good = || object(&[&ready]);
    for (wrong, fault) in [
        (json!({"metadata": {"generation": 1}}), "nothing says which"),
        (object(&[]), "Ready is missing"),
        (
            but(good(), "/metadata/generation", 1.into()),
            "still to come",
        ),
        (
            object(&[&ready, &condition("Stalled", "True", "Succeeded")]),
            "Ready and Stalled",
        ),
        (both, "Ready and Reconciling"),
        (
            object(&[&failed, &retrying, &stalled]),
            "Stalled and Reconciling",
        ),
        (object(&[&failed]), "neither Stalled nor Reconciling"),
        (object(&[&failed, &stalled, &done]), "Reconciling is there"),
        (object(&[&failed, &other]), "two reasons"),
        (object(&[&ready, &ready]), "twice"),
        (
            but(good(), "/status/conditions/0/reason", "so it is".into()),
            "no word",
        ),
        (
            but(good(), "/status/conditions/0/message", "".into()),
            "is empty",
        ),
        (
            but(good(), "/status/conditions/0/lastTransitionTime", "".into()),
            "time is missing",
        ),
        (
            but(good(), "/status/conditions/0/observedGeneration", 1.into()),
            "another generation",
        ),
    ] {
        let faults = faults_of_version(&wrong, None);
        assert!(
            faults.iter().any(|found| found.contains(fault)),
            "{faults:#?}, and not {fault}"
        );
    }
}

#[test]
fn rules_of_rest_and_of_order_can_be_broken() {
    let ready = object(&[&condition("Ready", "True", "Succeeded")]);
    assert_eq!(faults(&ready), [""; 0]);
    let changed = but(ready.clone(), "/metadata/generation", 3.into());
    only(&faults(&changed), "Ready speaks of an older generation");
    let new = json!({"metadata": {"generation": 1}, "status": {"observedGeneration": -1}});
    only(&faults(&new), "nothing was observed");

    assert_eq!(faults_of_version(&ready, Some(&ready)), [""; 0]);
    let time = "/status/conditions/0/lastTransitionTime";
    let moved = but(ready.clone(), time, "2026-01-01T00:00:01Z".into());
    only(&faults_of_version(&moved, Some(&ready)), "a time moved");
    let ahead = but(changed, "/status/observedGeneration", 3.into());
    let ahead = but(ahead, "/status/conditions/0/observedGeneration", 3.into());
    assert_eq!(faults_of_version(&ahead, Some(&ready)), [""; 0]);
    let back = but(ready, "/metadata/generation", 3.into());
    only(
        &faults_of_version(&back, Some(&ahead)),
        "an older generation is observed",
    );
}

/// What a watch tells of a recorded state: `Ready` and `Stalled` as given.
fn event(type_: &str, version: u64, namespace: &str, conditions: &[(&str, &str)]) -> Value {
    let conditions: Vec<Value> = conditions
        .iter()
        .map(|(type_, status)| {
            json!({
                "type": type_, "status": status, "reason": "Succeeded", "message": "it is so",
                "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z",
            })
        })
        .collect();
    json!({"type": type_, "object": {
        "kind": "Repository",
        "metadata": {
            "name": "lib", "namespace": namespace, "uid": namespace, "generation": 1,
            "resourceVersion": version.to_string(),
        },
        "spec": {}, "status": {"observedGeneration": 1, "conditions": conditions},
    }})
}

const RIGHT: [(&str, &str); 1] = [("Ready", "True")];
const WRONG: [(&str, &str); 2] = [("Ready", "True"), ("Stalled", "True")];

#[test]
fn a_version_that_breaks_a_rule_is_told_though_the_next_one_is_right() {
    let observer = Observer::default();
    let right = event("ADDED", 1, "a", &RIGHT);
    observer.take("repositories", &right);
    assert!(observer.has_seen(&right["object"]));
    let next = event("MODIFIED", 3, "a", &RIGHT);
    assert!(!observer.has_seen(&next["object"]));
    for event in [event("MODIFIED", 2, "a", &WRONG), next.clone()] {
        observer.take("repositories", &event);
    }
    let last = [next["object"].clone()];
    check(&observer, "b", &last).unwrap();
    let said = check(&observer, "a", &last).unwrap_err().to_string();
    assert!(said.contains("Ready and Stalled"), "{said}");
    // Once.
    check(&observer, "a", &last).unwrap();
}

#[test]
fn faults_of_what_nobody_holds_any_more_are_told_to_the_next_and_of_what_is_ignored_to_nobody() {
    let observer = Observer::default();
    observer.leave("left");
    observer.ignore("meant");
    for namespace in ["left", "meant", "kept"] {
        let event = event("ADDED", 1, namespace, &WRONG);
        observer.take("repositories", &event);
    }
    let faults = observer.faults_in("other");
    assert!(faults.iter().all(|fault| fault.starts_with("in left")));
    assert!(!faults.is_empty());
    assert!(observer.faults_in("meant").is_empty());
    assert!(!observer.faults_in("kept").is_empty());
}

/// The same through the API server, in the suite itself.
#[test]
fn what_somebody_writes_into_a_status_is_seen() {
    let team = Kube::get().namespace("observed");
    let odd = repository("odd", "https://git.example.com/acme/odd.git");
    team.apply(&[with(odd, &json!({"suspend": true}))]).unwrap();
    let wrong = event("", 0, "", &WRONG)["object"]["status"].clone();
    let patch = json!({"status": wrong}).to_string();
    let patch = format!("--patch={patch}");
    team.kubectl(&[
        "patch",
        "repository",
        "odd",
        "--subresource=status",
        "--type=merge",
        &patch,
    ])
    .unwrap();
    let faults = Team::wait_for("the fault", || {
        let faults = Kube::observer().faults_in(team.name());
        Ok((!faults.is_empty()).then_some(faults))
    });
    let faults = faults.unwrap().join("\n");
    assert!(faults.contains("Ready and Stalled"), "{faults}");
    // What was written by somebody else stays.
    Kube::observer().ignore(team.name());
    Kube::observer().faults_in(team.name());
}

#[test]
fn a_watch_that_is_too_old_begins_anew() {
    let observer = Observer::default();
    observer.take("repositories", &event("ADDED", 7, "a", &RIGHT));
    assert_eq!(observer.since("repositories"), Some(7));
    let gone = json!({"type": "ERROR", "object": {"kind": "Status", "code": 410}});
    observer.take("repositories", &gone);
    assert_eq!(observer.since("repositories"), None);
    assert!(!observer.has_seen(&event("ADDED", 7, "a", &RIGHT)["object"]));
}
