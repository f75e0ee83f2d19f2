//! What there is in a namespace, without what is another each time: times, ids, numbers that grow, and secrets.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::backing::Servers;

/// Fields that are another each time, or that others write.
const DROPPED: [&str; 14] = [
    "uid",
    "resourceVersion",
    "generation",
    "observedGeneration",
    "managedFields",
    "deployment.kubernetes.io/revision",
    "kubectl.kubernetes.io/last-applied-configuration",
    "clusterIP",
    "clusterIPs",
    "volumeName",
    "batch.kubernetes.io/controller-uid",
    "controller-uid",
    "package.broker/rotate-requested-at",
    "finalizers",
];

/// What is said of a pod that is to end.
const GOES: &str = " goes";

/// These objects, in a form in which two histories with the same end have the same text.
pub(crate) fn objects(all: &[Value]) -> Vec<String> {
    let there: BTreeSet<&str> = all
        .iter()
        .filter_map(|object| object["metadata"]["uid"].as_str())
        .collect();
    let mut said: Vec<String> = all
        .iter()
        .filter(|object| {
            object["kind"] != "ReplicaSet" && object["metadata"]["name"] != "kube-root-ca.crt"
        })
        .filter_map(|object| told(object, &there))
        .collect();
    said.sort();
    said
}

/// Whether pods are still to end.
pub(crate) fn is_going(state: &[String]) -> bool {
    state.iter().any(|said| said.ends_with(GOES))
}

fn told(object: &Value, there: &BTreeSet<&str>) -> Option<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let metadata = &object["metadata"];
    let owners = metadata["ownerReferences"].as_array();
    let owners: Vec<String> = owners
        .into_iter()
        .flatten()
        .map(|owner| {
            let is_there = there.contains(owner["uid"].as_str().unwrap_or_default());
            let name = normal(owner["name"].as_str().unwrap_or_default());
            format!("{} {name} is there: {is_there}", owner["kind"])
        })
        .collect();
    let goes = metadata["deletionTimestamp"].is_string();
    let mut object = object.clone();
    let status = object["status"].clone();
    match kind {
        "Pod" => {
            // Those of Jobs are told by their Jobs, and of the others the Deployment says all but how many there are.
            let is_of_a_set = owners.first()?.starts_with("\"ReplicaSet\"");
            let ends = if goes { GOES } else { "" };
            return is_of_a_set.then(|| format!("Pod {}{ends}", status["phase"]));
        }
        "Job" => {
            object["spec"] =
                json!({"image": object["spec"]["template"]["spec"]["containers"][0]["image"]});
            object["status"] =
                json!({"succeeded": status["succeeded"], "failed": status["failed"]});
        }
        "Deployment" => object["status"] = json!({"ready": status["readyReplicas"]}),
        "Secret" => {
            let data = object["data"].as_object().cloned().unwrap_or_default();
            object["data"] = data
                .into_iter()
                .map(|(key, _)| (key, json!("hidden")))
                .collect::<Map<_, _>>()
                .into();
        }
        "PackageBroker" | "Repository" | "AccessToken" => {}
        _ => object["status"] = Value::Null,
    }
    object["metadata"]["ownerReferences"] = json!(owners);
    let object = without(object);
    Some(format!(
        "{kind} {}",
        serde_json::to_string_pretty(&object).ok()?
    ))
}

fn without(value: Value) -> Value {
    match value {
        Value::Object(fields) => fields
            .into_iter()
            .filter(|(field, _)| !DROPPED.contains(&field.as_str()))
            .map(|(field, value)| (field, without(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.into_iter().map(without).collect();
            // The order of conditions is nobody's.
            if items.iter().all(|item| item["type"].is_string()) {
                items.sort_by_key(|item| item["type"].to_string());
            }
            items.into()
        }
        Value::String(text) => normal(&text).into(),
        other => other,
    }
}

/// A text without times and without what is a digest.
fn normal(text: &str) -> String {
    let is_of_word = |c: char| c.is_ascii_alphanumeric();
    let without_times: Vec<&str> = text
        .split(' ')
        .map(|word| {
            let bare = word.trim_end_matches([',', '.', ';']);
            if bare.parse::<Timestamp>().is_ok() {
                "TIME"
            } else {
                word
            }
        })
        .collect();
    let mut said = String::new();
    for part in without_times.join(" ").split_inclusive(|c| !is_of_word(c)) {
        let word = part.trim_end_matches(|c| !is_of_word(c));
        let is_digest = word.len() >= 8
            && word
                .chars()
                .all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c));
        said.push_str(if is_digest { "#" } else { word });
        said.push_str(&part[word.len()..]);
    }
    said
}

/// Whether every token among these objects is the same in its Secret, in its status and in the database.
pub(crate) fn tokens(all: &[Value], servers: Option<&Servers>) -> Vec<String> {
    let of = |kind: &'static str| all.iter().filter(move |object| object["kind"] == kind);
    let mut said: Vec<String> = of("AccessToken").map(|token| {
        let name = token["metadata"]["name"].as_str().unwrap_or_default();
        let secret = of("Secret").find(|secret| secret["metadata"]["name"] == name);
        let hash = |key: &str| {
            let text = STANDARD.decode(secret?["data"][key].as_str()?).ok()?;
            Some(hex::encode(Sha256::digest(text)))
        };
        let (now, previous) = (hash("password"), hash("previous"));
        let fingerprint = now.as_ref().and_then(|hash| hash.get(..8));
        let is_told = token["status"]["fingerprint"].as_str() == fingerprint;
        let rows = |hash: Option<String>| {
            let (servers, hash) = (servers?, hash?);
            let count = format!("SELECT count(*) FROM tokens WHERE hash = decode('{hash}', 'hex')");
            servers.sql(&count).ok()
        };
        format!(
            "token {name}: its status is of the token in its Secret: {is_told}; rows of it {:?}, of the one before {:?}",
            rows(now),
            rows(previous)
        )
    })
    .collect();
    said.sort();
    said
}

/// The lines in which two states differ.
pub(crate) fn difference(now: &[String], wanted: &[String]) -> String {
    let lines = |state: &[String]| -> BTreeSet<String> {
        let of = |object: &String| {
            let mut lines = object.lines();
            let first = lines.next().unwrap_or_default().to_owned();
            let name = object
                .lines()
                .find(|line| line.trim_start().starts_with("\"name\""))
                .unwrap_or_default();
            let name = format!("{first} {}", name.trim());
            lines
                .map(|line| format!("{name}: {line}"))
                .chain([name.clone()])
                .collect::<Vec<_>>()
        };
        state.iter().flat_map(of).collect()
    };
    let (now, wanted) = (lines(now), lines(wanted));
    let more = now.difference(&wanted).map(|line| format!("+ {line}"));
    let less = wanted.difference(&now).map(|line| format!("- {line}"));
    more.chain(less).collect::<Vec<_>>().join("\n")
}
