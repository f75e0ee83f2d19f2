//! Which objects there are with which values, and what they have in common.

use std::collections::BTreeSet;

use serde_json::json;

use super::support::{
    CHART, NAME, documents, helm, objects, one, root, set, template, title, titles,
};

fn names(kinds: &[&str]) -> BTreeSet<String> {
    kinds
        .iter()
        .map(|kind| (*kind).replace('~', NAME))
        .collect()
}

const DEFAULTS: [&str; 11] = [
    "ClusterRole ~",
    "ClusterRole ~-edit",
    "ClusterRole ~-view",
    "ClusterRoleBinding ~",
    "Deployment ~",
    "NetworkPolicy ~",
    "PodDisruptionBudget ~",
    "Role ~-leader",
    "RoleBinding ~-leader",
    "Service ~-metrics",
    "ServiceAccount ~",
];

#[test]
fn defaults_are_a_cluster_wide_operator() {
    assert_eq!(titles(&objects(&[])), names(&DEFAULTS));
}

/// Values that have objects made or left out, those that come, and those that go.
const CASES: &[(&[&str], &[&str], &[&str])] = &[
    (&["replicas=1"], &[], &["PodDisruptionBudget ~"]),
    (
        &["podDisruptionBudget.enabled=false"],
        &[],
        &["PodDisruptionBudget ~"],
    ),
    (&["networkPolicy.enabled=false"], &[], &["NetworkPolicy ~"]),
    (
        &["rbac.aggregate=false"],
        &[],
        &["ClusterRole ~-edit", "ClusterRole ~-view"],
    ),
    (
        &["rbac.create=false"],
        &[],
        &[
            "ClusterRole ~",
            "ClusterRole ~-edit",
            "ClusterRole ~-view",
            "ClusterRoleBinding ~",
            "Role ~-leader",
            "RoleBinding ~-leader",
        ],
    ),
    (
        &["serviceAccount.create=false", "serviceAccount.name=mine"],
        &[],
        &["ServiceAccount ~"],
    ),
    (
        &["metrics.dashboard.enabled=true"],
        &["ConfigMap ~-dashboard"],
        &[],
    ),
    (
        &["metrics.serviceMonitor.render=always"],
        &["ServiceMonitor ~"],
        &[],
    ),
    (
        &["metrics.prometheusRule.render=always"],
        &["PrometheusRule ~"],
        &[],
    ),
    (&["metrics.prometheusRule.render=auto"], &[], &[]),
];

#[test]
fn objects_come_and_go_with_their_values() {
    for (values, come, go) in CASES {
        let mut expected = names(&DEFAULTS);
        expected.extend(names(come));
        expected = &expected - &names(go);
        assert_eq!(titles(&objects(values)), expected, "{values:?}");
    }
}

#[test]
fn kinds_of_others_are_made_where_there_are_any() {
    let monitoring = "monitoring.coreos.com/v1";
    let apis = ["ServiceMonitor", "PrometheusRule"]
        .map(|kind| format!("--api-versions={monitoring}/{kind}"));
    // Where the cluster has the kinds, and only there.
    let on_cluster = |value: &str| {
        let arguments = [
            &set(&["crds.enabled=false", value])[..],
            &[&apis[0], &apis[1]],
        ]
        .concat();
        titles(&documents(
            &template(CHART, &arguments).success().unwrap().stdout,
        ))
    };
    let mut expected = names(&DEFAULTS);
    expected.extend(names(&["ServiceMonitor ~"]));
    assert_eq!(on_cluster("replicas=2"), expected);
    expected.extend(names(&["PrometheusRule ~"]));
    assert_eq!(on_cluster("metrics.prometheusRule.render=auto"), expected);
    assert_eq!(
        on_cluster("metrics.serviceMonitor.render=never"),
        names(&DEFAULTS)
    );
}

/// Objects are found by the labels of the chart: nobody's own take their place.
#[test]
fn labels_of_people_do_not_hide_those_of_the_chart() {
    let values = [
        "commonLabels.team=php",
        r"commonLabels.app\.kubernetes\.io/name=mine",
        r"podLabels.app\.kubernetes\.io/instance=x",
    ];
    let objects = objects(&values);
    for object in &objects {
        assert_eq!(
            object["metadata"]["labels"]["team"],
            "php",
            "{}",
            title(object)
        );
        let name = object["metadata"]["labels"]["app.kubernetes.io/name"]
            .as_str()
            .unwrap();
        assert!(name.starts_with(CHART), "{}", title(object));
    }
    let spec = &one(&objects, "Deployment")["spec"];
    for (label, value) in spec["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(&spec["template"]["metadata"]["labels"][label], value);
    }
    // The pod of the test is not one of the operator's.
    let test = objects
        .iter()
        .find(|object| object["kind"] == "Pod")
        .unwrap();
    let selected = spec["selector"]["matchLabels"].as_object().unwrap().iter();
    let is_ours = selected
        .clone()
        .all(|(label, value)| test["metadata"]["labels"][label] == *value);
    assert!(!is_ours, "{test}");
}

#[test]
fn further_objects_are_templates() {
    let object = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"},
    }]);
    let value = format!("extraObjects={object}");
    let said = template(CHART, &["--set-json", &value]);
    let objects = documents(&said.success().unwrap().stdout);
    assert!(titles(&objects).contains("ConfigMap operator-x"));
}

#[test]
fn the_example_for_several_zones_renders() {
    let chart = root().join("charts").join(CHART);
    let values = chart.join("values-ha.yaml");
    let said = template(CHART, &["--values", &values.to_string_lossy()]);
    let objects = documents(&said.success().unwrap().stdout);
    let deployment = one(&objects, "Deployment");
    assert_eq!(deployment["spec"]["replicas"], 3);
    let constraints = &deployment["spec"]["template"]["spec"]["topologySpreadConstraints"];
    assert_eq!(constraints[0]["topologyKey"], "topology.kubernetes.io/zone");
    assert_eq!(
        one(&objects, "PodDisruptionBudget")["spec"]["maxUnavailable"],
        1
    );
    let packed = helm(&[
        "lint",
        "--strict",
        &chart.to_string_lossy(),
        "--values",
        &values.to_string_lossy(),
    ]);
    packed.success().unwrap();
}
