//! The chart by itself: what it renders, what it refuses, and that a cluster takes it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::support::{BEFORE, Kube};

/// The kinds and names that the chart renders with these values.
fn rendered(values: &[&str]) -> BTreeSet<String> {
    let documents = Kube::get().render(values).unwrap();
    documents
        .iter()
        .map(|document| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!(
                "{} {}",
                text(&document["kind"]),
                text(&document["metadata"]["name"])
            )
        })
        .collect()
}

#[test]
fn the_chart_is_without_fault() {
    let said = Kube::get().helm(&["lint", "--strict", "CHART"]).unwrap();
    assert_eq!(said.code(), 0, "{said}");
}

#[test]
fn what_is_rendered_twice_is_the_same_and_empty_nowhere() {
    let chart = [
        "template",
        "operator",
        "CHART",
        "--namespace=package-broker",
    ];
    let once = Kube::get().helm(&chart).unwrap().success().unwrap().stdout;
    let twice = Kube::get().helm(&chart).unwrap().success().unwrap().stdout;
    assert_eq!(once, twice);
    for line in once.lines() {
        let is_empty = line.ends_with(": []") || line.ends_with(": {}");
        assert!(!is_empty || line.trim() == "status: {}", "{line}");
    }
}

#[test]
fn defaults_are_a_cluster_wide_operator() {
    let objects = rendered(&[]);
    let expected = [
        "ClusterRole operator-package-broker-operator",
        "ClusterRole operator-package-broker-operator-edit",
        "ClusterRole operator-package-broker-operator-view",
        "ClusterRoleBinding operator-package-broker-operator",
        "CustomResourceDefinition accesstokens.package.broker",
        "CustomResourceDefinition packagebrokers.package.broker",
        "CustomResourceDefinition repositories.package.broker",
        "Deployment operator-package-broker-operator",
        "NetworkPolicy operator-package-broker-operator",
        "Role operator-package-broker-operator-leader",
        "RoleBinding operator-package-broker-operator-leader",
        "Service operator-package-broker-operator-metrics",
        "ServiceAccount operator-package-broker-operator",
    ];
    assert_eq!(objects, expected.map(str::to_owned).into());
}

#[test]
fn a_namespaced_operator_has_no_cluster_wide_rights() {
    let objects = rendered(&["watch.namespaces={a,b}", "crds.enabled=false"]);
    assert!(
        objects.iter().all(|object| !object.starts_with("Cluster")),
        "{objects:?}"
    );
    let documents = Kube::get().render(&["watch.namespaces={a,b}"]).unwrap();
    let mut namespaces: Vec<&str> = documents
        .iter()
        .filter(|document| document["kind"] == "Role")
        .filter_map(|document| document["metadata"]["namespace"].as_str())
        .collect();
    namespaces.sort_unstable();
    assert_eq!(namespaces, ["a", "b", "package-broker"]);
}

#[test]
fn what_is_not_always_there_comes_with_its_value() {
    let of = |values: &[&str]| {
        let mut arguments = vec!["template", "operator", "CHART"];
        arguments.extend(values.iter().flat_map(|value| ["--set", value]));
        Kube::get()
            .helm(&arguments)
            .unwrap()
            .success()
            .unwrap()
            .stdout
    };
    for (values, line) in [
        (["replicas=2", "log=info"], "kind: PodDisruptionBudget"),
        (
            ["metrics.serviceMonitor.render=always", "log=info"],
            "kind: ServiceMonitor",
        ),
        (
            ["image.digest=sha256:ab", "global.imageRegistry=mirror"],
            "image: mirror/package-broker-operator@sha256:ab",
        ),
        (
            ["extraObjects[0].kind=Other", "extraObjects[0].name=x"],
            "kind: Other",
        ),
    ] {
        assert!(of(&values).contains(line), "{line} with {values:?}");
        assert!(!of(&[]).contains(line), "{line} without");
    }
    let without = rendered(&[
        "crds.enabled=false",
        "rbac.create=false",
        "networkPolicy.enabled=false",
    ]);
    assert_eq!(without.len(), 3, "{without:?}");
}

#[test]
fn wrong_values_are_refused() {
    for value in [
        "replica=2",
        "image.pullPolicy=Sometimes",
        "metrics.serviceMonitor.render=maybe",
        "crds.enabled=perhaps",
        "leaderElection.leaseSeconds=soon",
    ] {
        let said = Kube::get()
            .helm(&["template", "operator", "CHART", "--set", value])
            .unwrap();
        assert_ne!(said.code(), 0, "{value} is taken");
        let name = value.split(['=', '.']).next().unwrap();
        assert!(said.stderr.contains(name), "{value}: {said}");
    }
}

/// What people have of these kinds must not go with a release.
#[test]
fn definitions_are_kept() {
    let documents = Kube::get().render(&[]).unwrap();
    let kept = documents.iter().filter(|document| {
        document["kind"] == "CustomResourceDefinition"
            && document["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    });
    assert_eq!(kept.count(), 3);
}

#[test]
fn an_upgrade_and_a_rollback_keep_everything() {
    let _alone = super::support::operator_is_ours();
    let team = Kube::get().namespace("upgrade");
    team.apply(&[super::manifests::broker(), super::manifests::token("ci")])
        .unwrap();
    team.wait_ready(&["packagebroker/main", "accesstoken/ci"])
        .unwrap();
    let uid = |kind: &str, name: &str| team.get(kind, name).unwrap()["metadata"]["uid"].clone();
    let before = [
        uid("deployment", "main"),
        uid("secret", "ci"),
        uid("packagebroker", "main"),
    ];
    Kube::get().upgrade(&["log=debug"]).unwrap();
    team.apply(&[super::manifests::token("more")]).unwrap();
    team.wait_ready(&["accesstoken/more"]).unwrap();
    let rollback = [
        "rollback",
        "operator",
        "--namespace=package-broker",
        "--wait",
        "--timeout=3m",
    ];
    Kube::get().helm(&rollback).unwrap().success().unwrap();
    let after = [
        uid("deployment", "main"),
        uid("secret", "ci"),
        uid("packagebroker", "main"),
    ];
    assert_eq!(after, before);
    team.wait_ready(&["packagebroker/main", "accesstoken/ci", "accesstoken/more"])
        .unwrap();
    team.check_kstatus().unwrap();
}

/// Definitions are upgraded with the chart, and what was declared under those of before is taken up.
#[test]
fn what_was_declared_before_an_upgrade_is_served_after_it() {
    let kube = Kube::get();
    let namespace = format!("--namespace={BEFORE}");
    let wait = [
        "wait",
        &namespace,
        "--for=condition=Ready",
        "--timeout=150s",
    ];
    for object in ["packagebroker/main", "accesstoken/ci"] {
        kube.run(&[&wait[..], &[object]].concat()).unwrap();
    }
    let team = kube.found(BEFORE).unwrap();
    team.check_kstatus().unwrap();
    team.stays();
    let definition = kube
        .run(&[
            "get",
            "crd",
            "packagebrokers.package.broker",
            "--output=json",
        ])
        .unwrap();
    assert!(
        definition.contains("allowedNamespaces"),
        "the definitions are those of before"
    );
}
