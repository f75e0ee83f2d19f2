//! What stands around the pods of a registry: what is admitted, what is refused, and in which words.

use serde_json::json;

use super::*;

/// A registry with a public URL that is exposed in a way.
fn exposed(url: &str, expose: Value) -> Value {
    let mut document = broker(json!({"externalUrl": url}));
    document["spec"]["expose"] = expose;
    document
}

fn check(cases: &[(Value, &str)]) {
    for (document, expected) in cases {
        assert_eq!(verdict(document), *expected, "{document}");
    }
}

const PUBLIC: &str = "https://Packages.example.com:8443/composer/";

#[test]
fn there_is_one_way_in_and_a_url_for_it() {
    const ONE: &str = "spec.expose: is one of two ways; write either ingress or gateway";
    const NO_URL: &str = "spec.expose: there is no URL to lead to the registry; set spec.externalUrl to the one that clients use";
    let gateway = json!({"parentRefs": [{"name": "public"}]});
    check(&[
        (exposed(PUBLIC, json!({"ingress": {}})), ""),
        (exposed(PUBLIC, json!({"gateway": gateway.clone()})), ""),
        (exposed(PUBLIC, json!({"ingress": {}, "gateway": null})), ""),
        (exposed(PUBLIC, json!({})), ONE),
        (
            exposed(PUBLIC, json!({"ingress": {}, "gateway": gateway.clone()})),
            ONE,
        ),
        (broker(json!({"expose": {"ingress": {}}})), NO_URL),
        (broker(json!({"expose": {"gateway": gateway}})), NO_URL),
    ]);
}

#[test]
fn only_urls_that_can_be_routed_are_exposed() {
    const STRANGE: &str = "spec.externalUrl: no Ingress or HTTPRoute takes this URL; use a host name without _ and without a dot at its end, and a short path without empty parts, ., .. and %2F, or remove expose";
    let long = |length| format!("https://h/{}", "x".repeat(length));
    let at = |url: &str| exposed(url, json!({"ingress": {}}));
    for url in [
        "http://h",
        "https://h/",
        "https://192.0.2.1:8443/a/b/",
        "http://[2001:db8::1]/a",
        "http://[2001:db8::1]",
        "https://h/a.b/.c/..d/e%20f/g:h_i",
        &long(900),
    ] {
        assert_eq!(verdict(&at(url)), "", "{url}");
        assert_eq!(verdict(&broker(json!({"externalUrl": url}))), "", "{url}");
    }
    for url in [
        "https://a_b.example.com",
        "https://example.com.",
        "https://example.com.:443/x",
        "https://h//a",
        "https://h/a//",
        "https://h/a/./b",
        "https://h/a/..",
        "https://h/../a",
        "https://h/.",
        "https://h/a%2Fb",
        "https://h/a%2fb",
        &format!("https://{}/x", "h".repeat(260)),
        &long(1_100),
    ] {
        assert_eq!(verdict(&at(url)), STRANGE, "{url}");
        assert_eq!(verdict(&broker(json!({"externalUrl": url}))), "", "{url}");
    }
}

#[test]
fn hosts_are_those_that_clients_come_to() {
    const HOST: &str = "spec.expose.ingress.host: clients come to the host of spec.externalUrl; write that one or a wildcard for it, or remove host";
    const HOSTNAMES: &str = "spec.expose.gateway.hostnames: clients come to the host of spec.externalUrl; add that one or a wildcard for it, or remove hostnames";
    let ingress = |host: &str| exposed(PUBLIC, json!({"ingress": {"host": host}}));
    let gateway = |hostnames: &[&str]| {
        let parents = json!([{"name": "public", "namespace": "edge", "sectionName": "https"}]);
        exposed(
            PUBLIC,
            json!({"gateway": {"parentRefs": parents, "hostnames": hostnames}}),
        )
    };
    let form = |field: &str, host: &str| {
        format!(
            "spec.expose.{field}: \"{host}\" is not a host name; use lower case letters, digits, - and ., for instance packages.example.com or *.example.com"
        )
    };
    check(&[
        (ingress("packages.example.com"), ""),
        (ingress("*.example.com"), ""),
        (ingress("example.com"), HOST),
        (ingress("packagesxexample.com"), HOST),
        (ingress("*.com"), HOST),
        (ingress("*.packages.example.com"), HOST),
        (ingress("packages.example.com.evil.example"), HOST),
        (gateway(&[]), ""),
        (gateway(&["other.example.com", "packages.example.com"]), ""),
        (gateway(&["*.example.com"]), ""),
        (gateway(&["*.com"]), ""),
        (gateway(&["*.ample.com"]), HOSTNAMES),
        (gateway(&["other.example.com"]), HOSTNAMES),
        (
            gateway(&["*.example.com", "*.example.com"]),
            "spec.expose.gateway.hostnames[1]: is in the list already; remove it",
        ),
        (
            gateway(&["a", "b", "c", "d", "e", "f", "g", "h", "i"]),
            "spec.expose.gateway.hostnames: has more than 8 items; merge or remove some",
        ),
        (
            exposed(
                "https://192.0.2.1",
                json!({"ingress": {"host": "192.0.2.1"}}),
            ),
            &form("ingress.host", "192.0.2.1"),
        ),
        (
            exposed(
                "https://h",
                json!({"gateway": {"parentRefs": [{"name": "a"}], "hostnames": ["h", "H"]}}),
            ),
            &form("gateway.hostnames[1]", "H"),
        ),
        (
            exposed("https://h", json!({"gateway": {"parentRefs": []}})),
            "spec.expose.gateway.parentRefs: a route without Gateways leads nowhere; name one",
        ),
        (
            exposed("https://h", json!({"gateway": {}})),
            "spec.expose.gateway.parentRefs: is required; add parentRefs (The Gateways that take the route)",
        ),
    ]);
}

#[test]
fn labels_and_annotations_are_what_they_can_be() {
    let monitor =
        |labels: Value| broker(json!({"monitoring": {"serviceMonitor": true, "labels": labels}}));
    let pods = |labels: Value| broker(json!({"podTemplate": {"labels": labels}}));
    let nodes = |labels: Value| broker(json!({"podTemplate": {"nodeSelector": labels}}));
    let annotated = |key: &str| {
        exposed(
            "https://h",
            json!({"ingress": {"annotations": {key: "any text: it may be {long}"}}}),
        )
    };
    let many: serde_json::Map<String, Value> =
        (0..33).map(|n| (format!("a{n}"), "".into())).collect();
    check(&[
        (
            monitor(json!({"release": "prometheus", "example.com/a_b": ""})),
            "",
        ),
        (
            pods(json!({"team": "web", "app.kubernetes.io/part-of": "x"})),
            "",
        ),
        (
            nodes(json!({"kubernetes.io/os": "linux", "app.kubernetes.io/name": "x"})),
            "",
        ),
        (annotated("cert-manager.io/cluster-issuer"), ""),
        (
            pods(json!({"app.kubernetes.io/instance": "x"})),
            "spec.podTemplate.labels: app.kubernetes.io/name, instance and managed-by are the operator's own; remove them",
        ),
        (
            monitor(json!({"a b": "x"})),
            "spec.monitoring.labels: has something that is not a key; write name or example.com/name, of letters, digits, -, _ and .",
        ),
        (
            nodes(json!({"a": "x y"})),
            "spec.podTemplate.nodeSelector: has something that is not the value of a label; use at most 63 letters, digits, -, _ and .",
        ),
        (
            pods(json!({"a": 1})),
            "spec.podTemplate.labels.a: is a number, not a string; put the value in quotes",
        ),
        (
            pods(Value::Object(many)),
            "spec.podTemplate.labels: has more than 32 entries; remove some",
        ),
        (
            annotated("package.broker/state"),
            "spec.expose.ingress.annotations: annotations of package.broker are the operator's own; remove them",
        ),
    ]);
}

#[test]
fn what_would_have_no_effect_is_refused() {
    const PEER: &str = "spec.networkPolicy.from: a peer is either a network or some pods; write ipBlock, or podSelector and namespaceSelector";
    let from = |from: Value| broker(json!({"networkPolicy": {"enabled": true, "from": from}}));
    check(&[
        (broker(json!({"networkPolicy": {"enabled": true}})), ""),
        (broker(json!({"networkPolicy": {"from": []}})), ""),
        (
            from(
                json!([{"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}]),
            ),
            "",
        ),
        (
            broker(json!({"networkPolicy": {"from": [{"podSelector": {}}]}})),
            "spec.networkPolicy.from: there is no policy, so from has no effect; set spec.networkPolicy.enabled to true, or remove from",
        ),
        (from(json!([{}])), PEER),
        (
            from(json!([{"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}}])),
            PEER,
        ),
        (
            broker(json!({"monitoring": {"serviceMonitor": true, "interval": "1m"}})),
            "",
        ),
        (
            broker(json!({"monitoring": {"labels": {"a": "b"}}})),
            "spec.monitoring.labels: there is no ServiceMonitor, so labels has no effect; set spec.monitoring.serviceMonitor to true, or remove labels",
        ),
        (
            broker(json!({"monitoring": {"interval": "1m"}})),
            "spec.monitoring.interval: there is no ServiceMonitor, so interval has no effect; set spec.monitoring.serviceMonitor to true, or remove interval",
        ),
        (
            broker(json!({"monitoring": {"serviceMonitor": true, "interval": "999ms"}})),
            "spec.monitoring.interval: metrics would be read all the time; write 1s or more, for instance 30s",
        ),
    ]);
}

#[test]
fn pods_are_only_given_what_cannot_break_them() {
    let template = json!({
        "tolerations": [{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
        ]}}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}],
        "priorityClassName": "high", "serviceAccountName": "irsa",
    });
    check(&[
        (broker(json!({"podTemplate": template})), ""),
        (
            broker(json!({"podTemplate": {"hostNetwork": true}})),
            "spec.podTemplate.hostNetwork: unknown field; remove it; known here: affinity, annotations, labels, nodeSelector, priorityClassName, serviceAccountName, tolerations, topologySpreadConstraints",
        ),
    ]);
}

#[test]
fn only_pods_over_servers_multiply() {
    let over = |more: Value| {
        let mut spec = json!({
            "database": {"secretRef": {"name": "db"}},
            "storage": {"s3": {"bucket": "packages", "credentialsSecretRef": {"name": "bucket"}}},
        });
        merge(&mut spec, more);
        broker(spec)
    };
    let scaled = |autoscaling: Value| over(json!({"autoscaling": autoscaling}));
    let with =
        |field: &str, value: Value| over(json!({"autoscaling": {"maxReplicas": 9}, field: value}));
    check(&[
        (scaled(json!({"maxReplicas": 2})), ""),
        (
            scaled(
                json!({"minReplicas": 1, "maxReplicas": 100, "targetCPUUtilizationPercentage": 1}),
            ),
            "",
        ),
        (with("resources", json!({"requests": {"cpu": "1"}})), ""),
        (with("resources", json!({"limits": {"cpu": 1}})), ""),
        (
            with("resources", json!({"requests": {"memory": "1Gi"}})),
            "spec.resources: pods are counted by their share of the CPU that they request; set spec.resources.requests.cpu, or remove autoscaling",
        ),
        (
            with("replicas", json!(3)),
            "spec.replicas: the number of pods follows from autoscaling; remove replicas, or autoscaling",
        ),
        (
            over(json!({"sync": {"jobTemplate": {"resources": {"limits": {"memory": "2Gi"}}}}})),
            "",
        ),
        (
            broker(json!({"sync": {"jobTemplate": {}}})),
            "spec.sync.jobTemplate: without a database there are no Jobs, the one pod syncs by itself; write database and storage, or remove jobTemplate",
        ),
        (
            broker(json!({"autoscaling": {"maxReplicas": 2}})),
            "spec.autoscaling: without a database there is one pod, with its state on a volume; write database and storage, or remove autoscaling",
        ),
        (
            scaled(json!({"minReplicas": 3, "maxReplicas": 2})),
            "spec.autoscaling.minReplicas: the least is more than the most; lower minReplicas, or raise maxReplicas",
        ),
        (
            scaled(json!({"maxReplicas": 101})),
            "spec.autoscaling.maxReplicas: is more than 100; write 100 or less",
        ),
        (
            scaled(json!({"maxReplicas": 2, "targetCPUUtilizationPercentage": 0})),
            "spec.autoscaling.targetCPUUtilizationPercentage: is less than 1; write 1 or more",
        ),
    ]);
}
