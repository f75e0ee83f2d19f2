//! Several operators: one works, and another goes on where it ended.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::{
    manifests::{broker, token},
    support::{Kube, OPERATOR, Team, operator_is_ours},
};

const LEASE: &str = "operator-package-broker-operator";

fn lease() -> Value {
    let text = Kube::get()
        .run(&[
            "get",
            "lease",
            LEASE,
            "--namespace",
            OPERATOR,
            "--output=json",
        ])
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

fn holder() -> String {
    let holder = &lease()["spec"]["holderIdentity"];
    holder.as_str().unwrap_or_default().to_owned()
}

/// Ends the pod that leads, and returns how long it took until another does.
fn hand_over(arguments: &[&str]) -> Duration {
    let leader = Team::wait_for("a leader", || {
        Ok(Some(holder()).filter(|name| !name.is_empty()))
    })
    .unwrap();
    let mut delete = vec!["delete", "pod", leader.as_str(), "--namespace", OPERATOR];
    delete.extend(arguments);
    let began = Instant::now();
    Kube::get().run(&delete).unwrap();
    Team::wait_for("another leader", || {
        let now = holder();
        Ok((!now.is_empty() && now != leader).then_some(()))
    })
    .unwrap();
    began.elapsed()
}

#[test]
fn another_operator_goes_on_where_the_first_ends() {
    let _alone = operator_is_ours();
    let team = Kube::get().namespace("leader");
    team.apply(&[broker(), token("steady")]).unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/steady"])
        .unwrap();
    let since = |kind: &str, name: &str| {
        let object = team.get(kind, name).unwrap();
        let conditions = object["status"]["conditions"].as_array().unwrap();
        let ready = conditions
            .iter()
            .find(|one| one["type"] == "Ready")
            .unwrap();
        ready["lastTransitionTime"].clone()
    };
    let before = [
        since("packagebroker", "main"),
        since("accesstoken", "steady"),
    ];
    let took = hand_over(&["--wait=false"]);
    println!("asked to end: another led after {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    team.apply(&[token("after")]).unwrap();
    team.wait_ready(&["accesstoken/after"]).unwrap();
    team.check_kstatus().unwrap();
    // What was ready has been so all the time.
    let after = [
        since("packagebroker", "main"),
        since("accesstoken", "steady"),
    ];
    assert_eq!(after, before);
    let transitions = &lease()["spec"]["leaseTransitions"];
    assert!(transitions.as_i64() >= Some(2), "{transitions}");
    // Both wait for nothing else than the Lease: the one that does not lead is ready too.
    Kube::get()
        .run(&[
            "rollout",
            "status",
            "deployment",
            LEASE,
            "--namespace",
            OPERATOR,
            "--timeout=90s",
        ])
        .unwrap();
}
