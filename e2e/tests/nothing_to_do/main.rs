//! Nothing to do: nothing is written. A suite of its own after those whose time it counts, and before `operator`, which
//! uninstalls the operator: test programs run by the order of their names.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use std::{
    thread,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use self::{
    at_rest::{SINCE, registries, writes},
    support::{Kube, OPERATOR, Team},
};

#[path = "../cluster/at_rest.rs"]
mod at_rest;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/installs.rs"]
mod installs;
#[path = "../cluster/kstatus.rs"]
mod kstatus;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/manifests.rs"]
mod manifests;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/observer.rs"]
mod observer;
#[expect(dead_code, reason = "shared with the suites that use more of it")]
#[path = "../cluster/support.rs"]
mod support;

/// How long nothing is written.
const REST: SignedDuration = SignedDuration::from_mins(10);
/// How long the ten minutes may take to come about.
const LIMIT: Duration = Duration::from_mins(25);
/// So long after an operator began to lead, or a pod became ready, there may be something to do for that.
const AFTER: SignedDuration = SignedDuration::from_mins(1);
const LEASE: &str = "operator-package-broker-operator";

fn get(arguments: &[&str]) -> Value {
    let json = [arguments, &["--output=json"]].concat();
    serde_json::from_str(&Kube::get().run(&json).unwrap()).unwrap()
}

fn time(value: &Value) -> Timestamp {
    let text = value.as_str().unwrap_or_default();
    let time = text.parse();
    time.unwrap_or_else(|error| panic!("{value} is no time: {error}"))
}

/// When the last thing happened after which there may have been something to do: the registries came to rest, another
/// operator began to lead, a pod of theirs became ready or unready.
fn last_change(teams: &[Team]) -> Timestamp {
    let namespace = get(&["get", "namespace", teams[0].name()]);
    let lease = get(&["get", "lease", LEASE, "--namespace", OPERATOR]);
    let mut last = time(&namespace["metadata"]["annotations"][SINCE]);
    last = last.max(time(&lease["spec"]["acquireTime"]) + AFTER);
    for team in teams {
        let pods = get(&["get", "pods", "--namespace", team.name()]);
        for pod in pods["items"].as_array().unwrap() {
            let mut conditions = pod["status"]["conditions"].as_array().unwrap().iter();
            let ready = conditions.find(|one| one["type"] == "Ready").unwrap();
            // Pods of Jobs that ended stay so.
            last = last.max(time(&ready["lastTransitionTime"]) + AFTER);
        }
    }
    last
}

/// In the last ten minutes in which nothing changed in two registries, the operator wrote nothing in their namespaces: no
/// object, no status, no event. The API server's audit log says so. Other suites ran meanwhile, and some of them have had
/// another operator take over: counted is from a minute after the last time. Not counted is the Lease, which is in the
/// operator's namespace.
#[test]
fn in_ten_minutes_of_nothing_to_do_nothing_is_written() {
    let teams = registries();
    let began = Instant::now();
    let (since, until) = loop {
        let (since, now) = (last_change(&teams), Timestamp::now());
        if now.duration_since(since) >= REST {
            break (since, now);
        }
        assert!(began.elapsed() < LIMIT, "the last change was at {since}");
        thread::sleep(Duration::from_secs(2));
    };
    println!(
        "nothing changed for {:.0}; {:.0?} of that were waited for",
        until.duration_since(since),
        began.elapsed()
    );
    let all = writes(&teams).unwrap();
    let before = all.iter().filter(|(time, _)| *time < since).count();
    let during: Vec<_> = all.iter().filter(|(time, _)| *time >= since).collect();
    assert!(
        during.is_empty(),
        "the operator wrote though nothing changed: {during:#?}"
    );
    // The same log has what was written when there was something to do, then and now.
    assert!(before >= 40, "{before} writes before: {all:#?}");
    for team in &teams {
        team.check_kstatus().unwrap();
        let patch = json!({"spec": {"suspend": true}});
        team.patch(["accesstoken", "ci"], &patch).unwrap();
        Team::wait_for("a write after a change", || {
            let mut all = writes(std::slice::from_ref(team))?.into_iter();
            Ok(all.find(|(time, write)| *time >= until && write.contains("/accesstokens/ci/")))
        })
        .unwrap();
    }
}
