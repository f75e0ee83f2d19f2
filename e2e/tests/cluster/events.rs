//! Events of the operator: what it says of an object is told once, and told again only when it comes back.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    manifests::{broker, token, with},
    servers::status_of,
    support::{Kube, Team},
    watched::Watched,
};

/// What happens with every installation is no warning.
const USUAL: [&str; 3] = ["Succeeded", "Progressing", "PodsNotReady"];

/// Kind and name of an object, and what is said of it.
pub(super) type Said<'a> = (&'a str, &'a str, &'a str);

/// The operator's events, each as it was last.
fn all(events: &Watched) -> Vec<Value> {
    let mut all = BTreeMap::new();
    for event in events.events() {
        let event = &event["object"];
        if event["reportingComponent"] == "package-broker-operator" {
            all.insert(event["metadata"]["uid"].to_string(), event.clone());
        }
    }
    all.into_values().collect()
}

fn is_of(event: &Value, kind: &str, name: &str) -> bool {
    let object = &event["involvedObject"];
    object["kind"] == kind && object["name"] == name
}

/// How often it was told.
fn times(event: &Value) -> i64 {
    event["series"]["count"].as_i64().unwrap_or(1)
}

/// Waits for an event.
pub(super) fn told(events: &Watched, (kind, name, reason): Said<'_>) -> Value {
    let what = format!("an event {reason} of {kind} {name}");
    let found = Team::wait_for(&what, || {
        let mut all = all(events).into_iter();
        Ok(all.find(|event| is_of(event, kind, name) && event["reason"] == reason))
    });
    found.unwrap()
}

/// There is an event of each of these, with the weight and the words that it should have. Whatever was tried again and again
/// meanwhile was not told each time: no object is told of more often than `limit`.
pub(super) fn each_is_told_once(events: &Watched, said: &[Said<'_>], limit: i64) {
    for one in said {
        let event = told(events, *one);
        let weight = if USUAL.contains(&one.2) {
            "Normal"
        } else {
            "Warning"
        };
        assert_eq!(event["type"], weight, "{event:#}");
        assert!(!event["message"].as_str().unwrap().is_empty(), "{event:#}");
    }
    let (mut objects, mut texts) = (BTreeMap::new(), BTreeMap::new());
    for event in all(events) {
        let object = event["involvedObject"]["uid"].to_string();
        let told = objects.entry(object.clone()).or_insert_with(Vec::new);
        told.push(event.clone());
        let text = format!("{object} {} {}", event["reason"], event["message"]);
        texts.entry(text).or_insert_with(Vec::new).push(event);
    }
    let twice: Vec<_> = texts.values().filter(|events| events.len() > 1).collect();
    assert!(twice.is_empty(), "events that are no series: {twice:#?}");
    let count = |told: &Vec<Value>| told.iter().map(times).sum::<i64>();
    let told = objects.values().max_by_key(|told| count(told)).unwrap();
    let most = count(told);
    println!(
        "{} objects have {} events, none more than {most}",
        objects.len(),
        texts.len()
    );
    assert!(most <= limit, "{most}: {told:#?}");
}

/// What comes back is told again, in the event that is there.
#[test]
fn what_comes_back_is_counted_in_one_event() {
    let team = Kube::get().namespace("told");
    let events = Watched::begin(&team, "events");
    team.apply(&[broker(), token("ci")]).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    for _ in 0..3 {
        let over = json!({"expiresAt": "2026-01-01T00:00:00Z"});
        for (spec, status) in [(over, "False"), (json!({}), "True")] {
            team.apply(&[with(token("ci"), &spec)]).unwrap();
            Team::wait_for("what is said of it", || {
                let token = team.get("accesstoken", "ci")?;
                let is_seen =
                    token["status"]["observedGeneration"] == token["metadata"]["generation"];
                Ok((is_seen && status_of(&token, "Registered") == status).then_some(()))
            })
            .unwrap();
        }
    }
    team.wait_ready(&["accesstoken/ci"]).unwrap();
    for (reason, count) in [("Expired", 3), ("Succeeded", 4)] {
        Team::wait_for(reason, || {
            let event = told(&events, ("AccessToken", "ci", reason));
            Ok((times(&event) == count).then_some(()))
        })
        .unwrap();
    }
    let said = [
        ("PackageBroker", "main", "Succeeded"),
        ("PackageBroker", "main", "PodsNotReady"),
        ("AccessToken", "ci", "Succeeded"),
        ("AccessToken", "ci", "Expired"),
    ];
    each_is_told_once(&events, &said, 7);
}
