//! An operator that looks after some namespaces only: with rights in these, and nowhere else.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use super::{
    ground::source,
    manifests::{broker, repository, token},
    support::{Kube, Team, is_of},
};

const RELEASE: &str = "few";
/// The operator's own namespace.
const HOME: &str = "package-broker-few";
const OBJECTS: [&str; 3] = ["packagebroker/main", "accesstoken/ci", "repository/lib"];

/// It makes registries in two namespaces, leaves a third one alone, and is refused nothing. While no other operator is there.
pub(crate) fn check(folder: &Path) {
    let kube = Kube::get();
    let [first, second, other] = ["few-a", "few-b", "few-c"].map(|name| kube.namespace(name));
    let source = source(&folder.join("few"));
    for team in [&other, &first, &second] {
        let lib = repository("lib", &source.url("acme/lib"));
        team.apply(&[broker(), token("ci"), lib]).unwrap();
    }
    let namespaces = format!("watch.namespaces={{{},{}}}", first.name(), second.name());
    kube.install(RELEASE, HOME, &[&namespaces, "crds.enabled=false"])
        .unwrap();
    first.wait_ready(&OBJECTS).unwrap();
    second.wait_ready(&OBJECTS).unwrap();
    // What changes is noticed too.
    first.apply(&[token("more")]).unwrap();
    first.wait_ready(&["accesstoken/more"]).unwrap();
    for team in [&first, &second] {
        team.check_kstatus().unwrap();
    }
    is_untouched(&other);
    asked_for_nothing_else(&[first.name(), second.name(), HOME]);
    let gone = ["uninstall", RELEASE, "--namespace", HOME, "--wait"];
    kube.helm(&gone).unwrap().success().unwrap();
}

fn is_untouched(team: &Team) {
    for object in OBJECTS {
        let (kind, name) = object.split_once('/').unwrap();
        let status = team.get(kind, name).unwrap()["status"].clone();
        assert_eq!(status, serde_json::json!({"observedGeneration": -1}));
    }
    let made = "deployments,pods,services,secrets,persistentvolumeclaims,jobs";
    let made = team.kubectl(&["get", made, "--output=name"]).unwrap();
    assert_eq!(made, "");
}

/// From the audit log: nothing was refused, and all that was asked is about these namespaces.
fn asked_for_nothing_else(namespaces: &[&str]) {
    let mut events = Kube::get().audit().unwrap();
    events.retain(|event| is_of(event, HOME) && event["objectRef"].is_object());
    let refused: Vec<&Value> = events
        .iter()
        .filter(|event| event["responseStatus"]["code"] == 403)
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let asked: BTreeSet<&str> = events
        .iter()
        .map(|event| event["objectRef"]["namespace"].as_str().unwrap_or("all"))
        .collect();
    assert_eq!(asked, namespaces.iter().copied().collect());
}
