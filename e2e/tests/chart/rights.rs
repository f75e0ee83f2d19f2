//! What the operator may do in a cluster.

use serde_json::{Value, json};

use super::support::{container, objects, rendered, titles};

#[test]
fn a_namespaced_operator_has_no_cluster_wide_rights() {
    let objects = objects(&["watch.namespaces={a,b}"]);
    let titles = titles(&objects);
    assert!(
        titles.iter().all(|title| !title.starts_with("Cluster")),
        "{titles:?}"
    );
    for kind in ["Role", "RoleBinding"] {
        let of_kind = objects
            .iter()
            .filter(|object| object["kind"] == kind && object["metadata"]["annotations"].is_null());
        let mut namespaces: Vec<&str> = of_kind
            .filter_map(|object| object["metadata"]["namespace"].as_str())
            .collect();
        namespaces.sort_unstable();
        assert_eq!(namespaces, ["a", "b", "package-broker"], "{kind}");
    }
    let asked = objects.iter().any(|object| {
        let rules = object["rules"].as_array();
        rules.is_some_and(|rules| {
            rules
                .iter()
                .any(|rule| rule["resources"] == json!(["namespaces"]))
        })
    });
    assert!(!asked, "it may look at namespaces");
    let environment = container(&["watch.namespaces={a,b}"])["env"].clone();
    let told = environment
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == "WATCH_NAMESPACES");
    assert_eq!(told.unwrap()["value"], "a,b");
}

/// Every rule says what it is for, in a comment right above it.
#[test]
fn every_right_is_explained() {
    for values in [&[][..], &["watch.namespaces={a}"]] {
        let text = rendered(values);
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let mut count = 0;
        for (number, line) in lines.iter().enumerate() {
            if line.starts_with("- apiGroups") {
                assert!(
                    lines[number - 1].starts_with("# "),
                    "{}: {line}",
                    lines[number + 1]
                );
                count += 1;
            }
        }
        assert!(count >= 14, "only {count} rules");
    }
    // And none is for everything.
    let all = objects(&[])
        .iter()
        .map(Value::to_string)
        .collect::<String>();
    assert!(!all.contains("\"*\""), "a right to everything");
}
