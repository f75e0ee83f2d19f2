//! What each value changes, template by template.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::support::{
    CHART, NAME, container, documents, helm, objects, one, pod, root, set, template, title, titles,
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

/// Each value that has objects made or left out, with those that come and those that go.
#[test]
fn objects_come_and_go_with_their_values() {
    let monitoring = "monitoring.coreos.com/v1";
    let apis = ["ServiceMonitor", "PrometheusRule"]
        .map(|kind| format!("--api-versions={monitoring}/{kind}"));
    let cases: &[(&[&str], &[&str], &[&str])] = &[
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
    for (values, come, go) in cases {
        let mut expected = names(&DEFAULTS);
        expected.extend(names(come));
        expected = &expected - &names(go);
        assert_eq!(titles(&objects(values)), expected, "{values:?}");
    }
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
        let text = super::support::rendered(values);
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

#[test]
fn images_are_put_together() {
    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let digest = format!("image.digest={DIGEST}");
    let cases: &[(&[&str], String)] = &[
        (&[], "package-broker-operator:0.1.0".to_owned()),
        (&["image.tag=v2"], "package-broker-operator:v2".to_owned()),
        (
            &["image.registry=r.example.com"],
            "r.example.com/package-broker-operator:0.1.0".to_owned(),
        ),
        (
            &[
                "image.registry=r.example.com",
                "image.repository=team/op",
                "global.imageRegistry=mirror:5000/hub/",
            ],
            "mirror:5000/hub/team/op:0.1.0".to_owned(),
        ),
        // A tag may say what the digest is of; what runs is the digest.
        (
            &["image.tag=v2", &digest],
            format!("package-broker-operator@{DIGEST}"),
        ),
    ];
    for (values, reference) in cases {
        assert_eq!(container(values)["image"], *reference, "{values:?}");
        // That of the test is the same.
        let objects = objects(values);
        let test = objects
            .iter()
            .find(|object| object["kind"] == "Pod")
            .unwrap();
        assert_eq!(test["spec"]["containers"][0]["image"], *reference);
        // That of brokers goes by the same rules.
        let of_brokers: Vec<String> = values
            .iter()
            .map(|value| {
                value
                    .replace("image.", "brokerImage.")
                    .replace("global.brokerImage", "global.image")
            })
            .collect();
        let of_brokers: Vec<&str> = of_brokers.iter().map(String::as_str).collect();
        let environment = container(&of_brokers)["env"].clone();
        let expected = reference.replace("package-broker-operator", "package-broker");
        assert_eq!(
            environment[0],
            json!({"name": "BROKER_IMAGE", "value": expected}),
            "{of_brokers:?}"
        );
    }
}

/// A value of the pod or the container, and what it makes of which field.
#[test]
fn what_pods_are_given_comes_with_its_value() {
    let of_pod: &[(&[&str], &str, Value)] = &[
        (
            &["serviceAccount.automount=false"],
            "automountServiceAccountToken",
            json!(false),
        ),
        (&["hostUsers=false"], "hostUsers", json!(false)),
        (
            &["priorityClassName=high"],
            "priorityClassName",
            json!("high"),
        ),
        (
            &["runtimeClassName=gvisor"],
            "runtimeClassName",
            json!("gvisor"),
        ),
        (&["dnsPolicy=None"], "dnsPolicy", json!("None")),
        (
            &["dnsConfig.searches={a.example}"],
            "dnsConfig",
            json!({"searches": ["a.example"]}),
        ),
        (
            &[
                "hostAliases[0].ip=10.0.0.1",
                "hostAliases[0].hostnames={db}",
            ],
            "hostAliases",
            json!([{"ip": "10.0.0.1", "hostnames": ["db"]}]),
        ),
        (
            &["terminationGracePeriodSeconds=60"],
            "terminationGracePeriodSeconds",
            json!(60),
        ),
        (
            &["image.pullSecrets[0].name=pull"],
            "imagePullSecrets",
            json!([{"name": "pull"}]),
        ),
        (
            &["nodeSelector.disk=ssd"],
            "nodeSelector",
            json!({"disk": "ssd"}),
        ),
        (
            &["tolerations[0].operator=Exists"],
            "tolerations",
            json!([{"operator": "Exists"}]),
        ),
        (
            &["extraVolumes[0].name=v"],
            "volumes",
            json!([{"name": "v"}]),
        ),
        (
            &["topologySpreadConstraints=null"],
            "topologySpreadConstraints",
            Value::Null,
        ),
    ];
    for (values, field, expected) in of_pod {
        assert_eq!(pod(values)[*field], *expected, "{values:?}");
        assert_ne!(pod(&[])[*field], *expected, "{field} without");
    }
    let of_container: &[(&[&str], &str, Value)] = &[
        (
            &["extraArgs={--log=debug}"],
            "/args",
            json!(["--log=debug"]),
        ),
        (
            &["extraEnv[0].name=A", "extraEnv[0].value=b"],
            "/env/8",
            json!({"name": "A", "value": "b"}),
        ),
        (
            &["extraEnvFrom[0].secretRef.name=s"],
            "/envFrom",
            json!([{"secretRef": {"name": "s"}}]),
        ),
        (
            &[
                "extraVolumeMounts[0].name=v",
                "extraVolumeMounts[0].mountPath=/v",
            ],
            "/volumeMounts",
            json!([{"name": "v", "mountPath": "/v"}]),
        ),
        (
            &["resources.limits.memory=1Gi"],
            "/resources/limits",
            json!({"memory": "1Gi"}),
        ),
        (
            &["securityContext.privileged=false"],
            "/securityContext/privileged",
            json!(false),
        ),
        (&["log=debug"], "/env/5/value", json!("debug")),
    ];
    for (values, field, expected) in of_container {
        assert_eq!(
            container(values).pointer(field),
            Some(expected),
            "{values:?}"
        );
        assert_ne!(
            container(&[]).pointer(field),
            Some(expected),
            "{field} without"
        );
    }
    assert_eq!(
        one(&objects(&["revisionHistoryLimit=2"]), "Deployment")["spec"]["revisionHistoryLimit"],
        2
    );
}

#[test]
fn a_constraint_without_a_selector_is_given_ours() {
    let given = |values: &[&str]| pod(values)["topologySpreadConstraints"][0].clone();
    let ours = &given(&[])["labelSelector"]["matchLabels"];
    assert_eq!(ours["app.kubernetes.io/name"], CHART);
    let base = "topologySpreadConstraints[0].maxSkew=2,topologySpreadConstraints[0].topologyKey=zone,topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule";
    let own = given(&[
        base,
        "topologySpreadConstraints[0].labelSelector.matchLabels.a=b",
    ]);
    assert_eq!(own["labelSelector"], json!({"matchLabels": {"a": "b"}}));
    let zone = given(&[base]);
    assert_eq!(
        (&zone["topologyKey"], &zone["labelSelector"]["matchLabels"]),
        (&json!("zone"), ours)
    );
}

/// Without the values that OpenShift gives each namespace itself.
#[test]
fn openshift_chooses_the_user() {
    let restricted = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    assert_eq!(
        pod(&["openshift.adapt=always"])["securityContext"],
        restricted
    );
    assert_eq!(pod(&[])["securityContext"]["runAsUser"], 65532);
    let detected = |adapt: &str| {
        let values = ["--api-versions=security.openshift.io/v1", "--set", adapt];
        let text = template(CHART, &values).success().unwrap().stdout;
        one(&documents(&text), "Deployment")["spec"]["template"]["spec"]["securityContext"].clone()
    };
    assert_eq!(detected("openshift.adapt=auto"), restricted);
    assert_eq!(detected("openshift.adapt=never")["runAsUser"], 65532);
}

/// What the restricted Pod Security Standard asks for, of all pods in the chart.
#[test]
fn pods_are_restricted() {
    let objects = objects(&[]);
    let test = objects
        .iter()
        .find(|object| object["kind"] == "Pod")
        .unwrap();
    for pod in [pod(&[]), test["spec"].clone()] {
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(
            pod["securityContext"]["seccompProfile"]["type"],
            "RuntimeDefault"
        );
        let container = &pod["containers"][0]["securityContext"];
        assert_eq!(container["allowPrivilegeEscalation"], false);
        assert_eq!(container["readOnlyRootFilesystem"], true);
        assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
    }
    assert_eq!(
        one(&objects, "ServiceAccount")["automountServiceAccountToken"],
        false
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
fn connections_out_are_kept_to_what_is_named() {
    let policy = |values: &[&str]| one(&objects(values), "NetworkPolicy")["spec"].clone();
    assert_eq!(policy(&[])["policyTypes"], json!(["Ingress"]));
    assert_eq!(policy(&[])["egress"], Value::Null);
    let open = policy(&["networkPolicy.egress.enabled=true"]);
    assert_eq!(open["policyTypes"], json!(["Ingress", "Egress"]));
    let tcp = |port: u16| json!({"port": port, "protocol": "TCP"});
    assert_eq!(open["egress"][0], json!({"ports": [tcp(443), tcp(6443)]}));
    assert_eq!(
        open["egress"][1],
        json!({"ports": [{"port": 53, "protocol": "UDP"}, tcp(53)]})
    );
    assert_eq!(open["egress"][2], json!({"ports": [tcp(5432)]}));
    // A port for all to see, but of brokers alone.
    assert_eq!(
        open["egress"][3]["to"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"],
        "package-broker"
    );
    let egress = "networkPolicy.egress";
    let values = [
        "watch.namespaces={a,b}",
        &format!("{egress}.enabled=true"),
        &format!("{egress}.apiServer.cidrs={{10.0.0.1/32,fd00::1/128}}"),
        &format!("{egress}.apiServer.ports={{6443}}"),
        &format!("{egress}.dns.to[0].podSelector.matchLabels.k8s-app=kube-dns"),
        &format!("{egress}.databases.to[0].ipBlock.cidr=10.1.0.0/16"),
        &format!("{egress}.databases.ports={{5432,6432}}"),
        &format!("{egress}.extra[0].ports[0].port=9000"),
    ];
    let closed = policy(&values);
    let block = |cidr: &str| json!({"ipBlock": {"cidr": cidr}});
    assert_eq!(
        closed["egress"][0],
        json!({"ports": [tcp(6443)], "to": [block("10.0.0.1/32"), block("fd00::1/128")]})
    );
    assert_eq!(
        closed["egress"][1]["to"],
        json!([{"podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}])
    );
    assert_eq!(
        closed["egress"][2],
        json!({"ports": [tcp(5432), tcp(6432)], "to": [block("10.1.0.0/16")]})
    );
    let namespaces = &closed["egress"][3]["to"][0]["namespaceSelector"]["matchExpressions"][0];
    assert_eq!(namespaces["values"], json!(["a", "b"]));
    assert_eq!(closed["egress"][4], json!({"ports": [{"port": 9000}]}));
    let from =
        policy(&["networkPolicy.metricsFrom[0].namespaceSelector.matchLabels.name=monitoring"]);
    assert_eq!(
        from["ingress"][0]["from"],
        json!([{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}])
    );
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
