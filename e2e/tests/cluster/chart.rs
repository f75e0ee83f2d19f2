//! The chart on a cluster: its upgrades, its rollbacks, and its own test. What it renders is tested in the suite `chart`.

use std::collections::BTreeSet;

use super::support::{BEFORE, Kube, OPERATOR};

#[path = "../chart/combinations.rs"]
mod combinations;

/// The API server takes everything that the chart renders; it looks at more than fields.
#[test]
fn a_cluster_takes_what_is_rendered() {
    let kube = Kube::get();
    // Where the values have objects made.
    let namespaces = ["a", "b", "grafana"].map(|name| kube.namespace(name));
    let folder = tempfile::tempdir().unwrap();
    let mut count = 0;
    for values in combinations::COMBINATIONS {
        // Of kinds that this cluster may not have, or definitions that it has already.
        let is_odd =
            |value: &&str| value.ends_with("render=always") || value.starts_with("crds.enabled=");
        if values.iter().any(is_odd) {
            continue;
        }
        let namespace = format!("--namespace={OPERATOR}");
        // Names that are free. The pod of a test is no object of the release, and needs the account that comes before it.
        let mut helm = vec!["template", "judged", "CHART", &namespace, "--skip-tests"];
        helm.push("--set=crds.enabled=false");
        helm.extend(values.iter().flat_map(|value| ["--set", value]));
        let file = folder.path().join(format!("{count}.yaml"));
        std::fs::write(&file, kube.helm(&helm).unwrap().success().unwrap().stdout).unwrap();
        let file = format!("--filename={}", file.display());
        let create = ["create", "--dry-run=server", "--validate=strict", &file];
        let said = kube.attempt(&create).unwrap();
        assert!(said.status.success(), "{values:?}: {said}");
        // Warnings are of fields that are on their way out, and of pods that are not restricted.
        assert!(!said.stderr.contains("Warning"), "{values:?}: {said}");
        count += 1;
    }
    drop(namespaces);
    assert!(count >= 15, "{count}");
}

/// `helm test` has the API server look at one object of each kind, and leaves nothing.
#[test]
fn the_test_of_the_chart_asks_the_api_server() {
    let kube = Kube::get();
    let namespace = format!("--namespace={OPERATOR}");
    let test = ["test", "operator", &namespace, "--timeout=3m"];
    let said = kube.helm(&test).unwrap().success().unwrap();
    assert!(said.stdout.contains("Succeeded"), "{said}");
    let user = format!("system:serviceaccount:{OPERATOR}:operator-package-broker-operator-check");
    let events = kube.audit().unwrap();
    let asked: BTreeSet<&str> = events
        .iter()
        .filter(|event| event["user"]["username"] == user.as_str())
        .inspect(|event| {
            let uri = event["requestURI"].as_str().unwrap_or_default();
            assert!(uri.contains("dryRun=All"), "{event}");
        })
        .filter_map(|event| event["objectRef"]["resource"].as_str())
        .collect();
    assert_eq!(
        asked,
        ["accesstokens", "packagebrokers", "repositories"].into()
    );
    let left = [
        "get",
        "pods,roles,serviceaccounts",
        &namespace,
        "--output=name",
    ];
    let left = kube.run(&left).unwrap();
    assert!(!left.contains("-check"), "{left}");
}

/// The definitions go from one chart to the other and back as docs/install.md says, and nothing that was declared is lost.
#[test]
fn definitions_are_handed_over() {
    let _alone = super::support::operator_is_ours();
    let kube = Kube::get();
    let team = kube.namespace("handed-over");
    team.apply(&[super::manifests::broker()]).unwrap();
    team.wait_ready(&["packagebroker/main"]).unwrap();
    let uid = || team.get("packagebroker", "main").unwrap()["metadata"]["uid"].clone();
    let owner = || {
        let definition = [
            "get",
            "crd",
            "packagebrokers.package.broker",
            "--output=json",
        ];
        let text = kube.run(&definition).unwrap();
        let definition: serde_json::Value = serde_json::from_str(&text).unwrap();
        let owner = &definition["metadata"]["annotations"]["meta.helm.sh/release-name"];
        owner.as_str().unwrap_or_default().to_owned()
    };
    let namespace = format!("--namespace={OPERATOR}");
    let helm = |arguments: &[&str]| kube.helm(arguments).unwrap().success().unwrap();
    let before = uid();
    kube.upgrade(&["crds.enabled=false"]).unwrap();
    helm(&[
        "install",
        "definitions",
        "CRDS",
        &namespace,
        "--take-ownership",
    ]);
    assert_eq!((uid(), owner()), (before.clone(), "definitions".to_owned()));
    helm(&["uninstall", "definitions", &namespace]);
    let upgrade = ["upgrade", "operator", "CHART", &namespace, "--reuse-values"];
    let back = [
        "--set=crds.enabled=true",
        "--take-ownership",
        "--wait",
        "--timeout=3m",
    ];
    helm(&[&upgrade[..], &back].concat());
    assert_eq!((uid(), owner()), (before, "operator".to_owned()));
    team.wait_ready(&["packagebroker/main"]).unwrap();
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
