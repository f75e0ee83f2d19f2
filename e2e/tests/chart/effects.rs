//! No value is taken and then passed over: each, set to something else, has something else rendered.

use std::collections::BTreeSet;

use serde_json::Value;

use super::support::{CHART, CRDS, rendered, set, template, text};

const EGRESS: &[&str] = &["networkPolicy.egress.enabled=true"];
const MONITOR: &[&str] = &["metrics.serviceMonitor.render=always"];
const RULE: &[&str] = &["metrics.prometheusRule.render=always"];
const DASHBOARD: &[&str] = &["metrics.dashboard.enabled=true"];

/// A value set to something else, and those without which it means nothing.
const OTHERS: &[(&str, &[&str])] = &[
    ("global.imageRegistry=r.example.com", &[]),
    ("fullnameOverride=other", &[]),
    ("replicas=5", &[]),
    ("leaderElection.leaseSeconds=31", &[]),
    ("leaderElection.renewSeconds=21", &[]),
    ("leaderElection.retrySeconds=3", &[]),
    ("image.registry=r.example.com", &[]),
    ("image.repository=other", &[]),
    ("image.tag=other", &[]),
    (
        "image.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        &[],
    ),
    ("image.pullPolicy=Always", &[]),
    ("image.pullSecrets[0].name=other", &[]),
    ("brokerImage.registry=r.example.com", &[]),
    ("brokerImage.repository=other", &[]),
    ("brokerImage.tag=other", &[]),
    (
        "brokerImage.digest=sha256:0000000000000000000000000000000000000000000000000000000000000000",
        &[],
    ),
    ("crds.enabled=true", &[]),
    ("crds.keep=false", &["crds.enabled=true"]),
    ("watch.namespaces={other}", &[]),
    (
        "serviceAccount.create=false",
        &["serviceAccount.name=other"],
    ),
    ("serviceAccount.name=other", &[]),
    ("serviceAccount.annotations.other=x", &[]),
    ("serviceAccount.automount=false", &[]),
    ("rbac.create=false", &[]),
    ("rbac.aggregate=false", &[]),
    ("log=debug", &[]),
    ("resources.limits.memory=1Gi", &[]),
    ("podSecurityContext.fsGroup=1", &[]),
    ("securityContext.runAsUser=1", &[]),
    ("openshift.adapt=always", &[]),
    ("hostUsers=false", &[]),
    ("networkPolicy.enabled=false", &[]),
    (
        "networkPolicy.metricsFrom[0].podSelector.matchLabels.other=x",
        &[],
    ),
    ("networkPolicy.egress.enabled=true", &[]),
    ("networkPolicy.egress.apiServer.cidrs={10.0.0.1/32}", EGRESS),
    ("networkPolicy.egress.apiServer.ports={8443}", EGRESS),
    (
        "networkPolicy.egress.dns.to[0].podSelector.matchLabels.other=x",
        EGRESS,
    ),
    ("networkPolicy.egress.dns.ports={5353}", EGRESS),
    (
        "networkPolicy.egress.databases.to[0].podSelector.matchLabels.other=x",
        EGRESS,
    ),
    ("networkPolicy.egress.databases.ports={6432}", EGRESS),
    ("networkPolicy.egress.extra[0].ports[0].port=9000", EGRESS),
    ("metrics.serviceMonitor.render=always", &[]),
    ("metrics.serviceMonitor.namespace=other", MONITOR),
    ("metrics.serviceMonitor.labels.other=x", MONITOR),
    ("metrics.serviceMonitor.interval=7s", MONITOR),
    ("metrics.serviceMonitor.scrapeTimeout=7s", MONITOR),
    (
        "metrics.serviceMonitor.relabelings[0].action=labeldrop",
        MONITOR,
    ),
    (
        "metrics.serviceMonitor.metricRelabelings[0].action=labeldrop",
        MONITOR,
    ),
    ("metrics.prometheusRule.render=always", &[]),
    ("metrics.prometheusRule.namespace=other", RULE),
    ("metrics.prometheusRule.labels.other=x", RULE),
    (
        "metrics.prometheusRule.rules.PackageBrokerNotReady.for=7m",
        RULE,
    ),
    ("metrics.dashboard.enabled=true", &[]),
    ("metrics.dashboard.namespace=other", DASHBOARD),
    ("metrics.dashboard.labels.other=x", DASHBOARD),
    ("metrics.dashboard.annotations.other=x", DASHBOARD),
    ("podDisruptionBudget.enabled=false", &[]),
    ("podDisruptionBudget.maxUnavailable=50%", &[]),
    ("commonLabels.other=x", &[]),
    ("podLabels.other=x", &[]),
    ("podAnnotations.other=x", &[]),
    ("nodeSelector.other=x", &[]),
    ("tolerations[0].key=other", &[]),
    ("affinity.nodeAffinity.other=x", &[]),
    ("topologySpreadConstraints=null", &[]),
    ("priorityClassName=other", &[]),
    ("runtimeClassName=other", &[]),
    ("dnsPolicy=Default", &[]),
    ("dnsConfig.searches={other}", &[]),
    (
        "hostAliases[0].ip=10.0.0.1,hostAliases[0].hostnames={other}",
        &[],
    ),
    ("terminationGracePeriodSeconds=31", &[]),
    ("revisionHistoryLimit=3", &[]),
    ("extraArgs={--other}", &[]),
    ("extraEnv[0].name=OTHER", &[]),
    ("extraEnvFrom[0].secretRef.name=other", &[]),
    ("extraVolumes[0].name=other", &[]),
    (
        "extraVolumeMounts[0].name=other,extraVolumeMounts[0].mountPath=/other",
        &[],
    ),
    (
        "extraObjects[0].apiVersion=v1,extraObjects[0].kind=Other",
        &[],
    ),
    ("tests.enabled=false", &[]),
];

/// The paths of all values in a schema: those that are described.
fn values(schema: &Value, at: &str, found: &mut BTreeSet<String>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{at}{name}");
        if property["description"].is_string() {
            found.insert(path);
        } else {
            values(property, &format!("{path}."), found);
        }
    }
}

fn values_of(chart: &str) -> BTreeSet<String> {
    let schema = text(&format!("charts/{chart}/values.schema.json"));
    let mut found = BTreeSet::new();
    values(&serde_json::from_str(&schema).unwrap(), "", &mut found);
    found
}

#[test]
fn every_value_has_an_effect() {
    let mut left = values_of(CHART);
    assert!(left.len() > 70, "{left:?}");
    for (value, context) in OTHERS {
        let with = rendered(&[context, &[*value][..]].concat());
        assert!(with != rendered(context), "{value} changes nothing");
        left.retain(|path| {
            let rest = value.strip_prefix(path.as_str());
            !rest.is_some_and(|rest| rest.starts_with(['=', '.', '[']))
        });
    }
    assert!(left.is_empty(), "nothing is known of {left:?}");
}

#[test]
fn every_value_of_the_definitions_has_an_effect() {
    let of = |values: &[&str]| template(CRDS, &set(values)).success().unwrap().stdout;
    let others = ["keep=false", "commonLabels.other=x", "annotations.other=x"];
    for value in others {
        assert!(of(&[value]) != of(&[]), "{value} changes nothing");
    }
    assert_eq!(values_of(CRDS).len(), others.len());
}
