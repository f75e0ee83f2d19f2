//! What stands around the pods of a registry: it comes with its field, is put right, and goes; also where the cluster gets
//! the kinds of others only later.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    events::told,
    manifests::{broker, definition, with},
    support::{Kube, Team},
    watched::Watched,
};

/// A registry that clients outside reach in a way, with all that one pod can have around it.
fn exposed(expose: &Value) -> Value {
    with(
        broker(),
        &json!({
            "externalUrl": "http://packages.example.com/composer",
            "expose": expose,
            "networkPolicy": {"enabled": true},
            "monitoring": {"serviceMonitor": true},
            "podTemplate": {"labels": {"team": "web"}},
        }),
    )
}

fn is_there(team: &Team, kind: &str) -> Result<bool> {
    let found = team.kubectl(&["get", kind, "main", "--ignore-not-found", "--output=name"])?;
    Ok(!found.trim().is_empty())
}

/// Waits until of these kinds there is, or is not, an object.
fn settled(team: &Team, there: bool, kinds: &[&str]) {
    for kind in kinds {
        let what = format!("{kind}: {there}");
        Team::wait_for(&what, || Ok((is_there(team, kind)? == there).then_some(()))).unwrap();
    }
}

fn message(team: &Team) -> Result<String> {
    let path = "--output=jsonpath={.status.conditions[?(@.type=='Ready')].message}";
    team.kubectl(&["get", "packagebroker", "main", path])
}

#[test]
fn what_stands_around_pods_comes_and_goes() {
    let team = Kube::get().namespace("around");
    let events = Watched::begin(&team, "events");
    let gateway = json!({"gateway": {"parentRefs": [{"name": "public"}]}});
    team.apply(&[exposed(&gateway)]).unwrap();
    Team::wait_for("word of a kind that is not there", || {
        Ok(message(&team)?
            .contains("install the Gateway API")
            .then_some(()))
    })
    .unwrap();
    team.check_kstatus().unwrap();
    told(&events, ("PackageBroker", "main", "NotInstalled"));
    team.apply(&[
        definition("gateway.networking.k8s.io", "HTTPRoute"),
        definition("monitoring.coreos.com", "ServiceMonitor"),
    ])
    .unwrap();
    team.wait_ready(&["packagebroker/main"]).unwrap();
    settled(
        &team,
        true,
        &["httproute", "servicemonitor", "networkpolicy"],
    );
    let pods = team.kubectl(&["get", "pods", "--selector=team=web", "--output=name"]);
    assert!(!pods.unwrap().trim().is_empty());

    team.apply(&[exposed(&json!({"ingress": {}}))]).unwrap();
    settled(&team, true, &["ingress"]);
    settled(&team, false, &["httproute"]);
    team.wait_ready(&["packagebroker/main"]).unwrap();
    for kind in ["ingress", "networkpolicy", "servicemonitor"] {
        team.kubectl(&["delete", kind, "main", "--wait=false"])
            .unwrap();
        settled(&team, true, &[kind]);
    }

    team.apply(&[broker()]).unwrap();
    settled(
        &team,
        false,
        &["ingress", "networkpolicy", "servicemonitor"],
    );
    team.check_kstatus().unwrap();
}

#[test]
fn what_belongs_to_others_is_left_alone() {
    let team = Kube::get().namespace("around-others");
    team.kubectl(&[
        "create",
        "ingress",
        "main",
        "--rule=foo.example.com/=other:80",
    ])
    .unwrap();
    team.apply(&[with(
        broker(),
        &json!({"externalUrl": "http://packages.example.com", "expose": {"ingress": {}}}),
    )])
    .unwrap();
    Team::wait_for("word of it", || {
        Ok(message(&team)?.contains("is there already").then_some(()))
    })
    .unwrap();
    team.check_kstatus().unwrap();
    let ingress = team.get("ingress", "main").unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], "foo.example.com");
    team.kubectl(&["delete", "ingress", "main"]).unwrap();
    team.wait_ready(&["packagebroker/main"]).unwrap();
    let ingress = team.get("ingress", "main").unwrap();
    assert_eq!(ingress["spec"]["rules"][0]["host"], "packages.example.com");
}
