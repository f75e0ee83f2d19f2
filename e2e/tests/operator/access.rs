//! The operator's rights: all that it needs, and nothing else. From what it asked the API server in the other suites.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use super::support::{Kube, is_operator};

/// A verb on a resource of a group.
type Right = (String, String, String);

/// What the operator asked for, and what of that it was refused.
fn asked(events: &[Value]) -> (BTreeSet<Right>, BTreeSet<Right>) {
    let (mut asked, mut refused) = (BTreeSet::new(), BTreeSet::new());
    // Which kinds there are, everybody may ask: that concerns no object.
    let of_objects = |event: &&Value| is_operator(event) && event["objectRef"].is_object();
    for event in events.iter().filter(of_objects) {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let object = &event["objectRef"];
        let mut resource = text(&object["resource"]);
        if let Some(part) = object["subresource"].as_str() {
            resource = format!("{resource}/{part}");
        }
        let right = (text(&object["apiGroup"]), resource, text(&event["verb"]));
        // Not all that is forbidden is so for want of a right: nothing is made in a namespace that is going, for instance.
        if event["annotations"]["authorization.k8s.io/decision"] == "forbid" {
            refused.insert(right.clone());
        }
        asked.insert(right);
    }
    (asked, refused)
}

/// What the chart's roles give.
fn given() -> BTreeSet<Right> {
    let mut given = BTreeSet::new();
    for arguments in [
        [
            "get",
            "clusterrole",
            "operator-package-broker-operator",
            "--output=json",
            "--all-namespaces=false",
        ],
        [
            "get",
            "role",
            "operator-package-broker-operator-leader",
            "--output=json",
            "--namespace=package-broker",
        ],
    ] {
        let role: Value = serde_json::from_str(&Kube::get().run(&arguments).unwrap()).unwrap();
        for rule in role["rules"].as_array().unwrap() {
            let list = |field: &str| {
                let all = rule[field].as_array().cloned().unwrap_or_default();
                all.iter()
                    .map(|one| one.as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            for group in list("apiGroups") {
                for resource in list("resources") {
                    for verb in list("verbs") {
                        given.insert((group.clone(), resource.clone(), verb));
                    }
                }
            }
        }
    }
    given
}

/// No right is missing, and none is unused. After all suites in which the operator works in the cluster, and until it was
/// uninstalled: what ends after its rights did is refused what it asks.
pub(crate) fn check(until: Option<Timestamp>) {
    let given = given();
    let mut events = Kube::get().audit().unwrap();
    events.retain(|event| {
        let text = event["requestReceivedTimestamp"].as_str().unwrap();
        until.is_none_or(|until| text.parse::<Timestamp>().unwrap() < until)
    });
    let (asked, refused) = asked(&events);
    assert!(refused.is_empty(), "refused: {refused:?}");
    let unused = unused(&given, &asked);
    assert!(
        unused.is_empty(),
        "never used, although all suites have run if this is a whole `cargo xtask e2e`: {unused:?}"
    );
    let beyond: Vec<&Right> = asked
        .iter()
        .filter(|right| !given.contains(*right))
        .collect();
    assert!(beyond.is_empty(), "not in the chart's roles: {beyond:?}");
}

/// What was given and not asked for.
fn unused<'a>(given: &'a BTreeSet<Right>, asked: &BTreeSet<Right>) -> Vec<&'a Right> {
    // A server-side apply of what is not there counts as a patch in the log, and needs `create` too.
    let applied = |right: &Right| {
        let patch = (right.0.clone(), right.1.clone(), "patch".to_owned());
        right.2 == "create" && asked.contains(&patch)
    };
    let mut unused: Vec<&Right> = given.iter().collect();
    unused.retain(|right| !asked.contains(*right) && !applied(right));
    unused
}
