//! Values that are refused, each with a word of what is wrong.

use super::support::{CHART, CRDS, helm, root, set, template};

/// A value, and what the message has to name.
const REFUSED: &[(&str, &str)] = &[
    ("replica=2", "replica"),
    ("replicas=-1", "replicas"),
    ("replicas=two", "replicas"),
    ("image.name=x", "image"),
    ("image.repository=", "image/repository"),
    ("image.repository=broker@sha256:ab", "image/repository"),
    ("image.registry=r.example.com/a b", "image/registry"),
    ("image.tag=a:b", "image/tag"),
    ("image.digest=sha256:ab", "image/digest"),
    ("brokerImage.digest=latest", "brokerImage/digest"),
    ("image.pullPolicy=Sometimes", "image/pullPolicy"),
    ("image.pullSecrets={pull}", "image/pullSecrets"),
    ("image.pullSecrets[0].secret=pull", "image/pullSecrets"),
    ("crds.enabled=perhaps", "crds/enabled"),
    ("crds.kept=true", "crds"),
    ("watch.namespaces=team", "watch/namespaces"),
    ("watch.namespaces={Team}", "watch/namespaces"),
    ("watch.namespaces={a,a}", "watch/namespaces"),
    ("watch.namespace={a}", "watch"),
    (
        "leaderElection.leaseSeconds=soon",
        "leaderElection/leaseSeconds",
    ),
    (
        "leaderElection.retrySeconds=0",
        "leaderElection/retrySeconds",
    ),
    (
        "leaderElection.renewSeconds=30",
        "leaderElection.renewSeconds",
    ),
    (
        "leaderElection.retrySeconds=20",
        "leaderElection.retrySeconds",
    ),
    ("serviceAccount.create=false", "serviceAccount.name"),
    ("serviceAccount.name=A_B", "serviceAccount/name"),
    ("serviceAccount.automount=1", "serviceAccount/automount"),
    ("rbac.aggregate=1", "rbac/aggregate"),
    ("log=", "log"),
    ("resources.request.cpu=1", "resources"),
    ("podSecurityContext.runAsNonroot=true", "podSecurityContext"),
    ("podSecurityContext.privileged=true", "podSecurityContext"),
    ("securityContext.fsGroup=1", "securityContext"),
    ("openshift.adapt=true", "openshift/adapt"),
    ("hostUsers=no thanks", "hostUsers"),
    ("networkPolicy.egress.enable=true", "networkPolicy/egress"),
    (
        "networkPolicy.egress.apiServer.cidrs={10.0.0.1}",
        "networkPolicy/egress/apiServer/cidrs",
    ),
    (
        "networkPolicy.egress.apiServer.ports={https}",
        "networkPolicy/egress/apiServer/ports",
    ),
    (
        "networkPolicy.egress.databases.ports=null",
        "networkPolicy/egress/databases",
    ),
    (
        "networkPolicy.egress.dns.ports[0]=70000",
        "networkPolicy/egress/dns/ports",
    ),
    (
        "networkPolicy.metricsFrom={monitoring}",
        "networkPolicy/metricsFrom",
    ),
    (
        "metrics.serviceMonitor.render=maybe",
        "metrics/serviceMonitor/render",
    ),
    (
        "metrics.serviceMonitor.interval=30",
        "metrics/serviceMonitor/interval",
    ),
    (
        "metrics.serviceMonitor.scrapeTimeout=soon",
        "metrics/serviceMonitor/scrapeTimeout",
    ),
    (
        "metrics.prometheusRule.render=true",
        "metrics/prometheusRule/render",
    ),
    (
        "metrics.prometheusRule.rules.PackageBrokerDown.enabled=false",
        "metrics/prometheusRule/rules",
    ),
    (
        "metrics.prometheusRule.rules.PackageBrokerNotReady.for=soon",
        "PackageBrokerNotReady/for",
    ),
    (
        "metrics.prometheusRule.rules.PackageBrokerNotReady.level=info",
        "PackageBrokerNotReady",
    ),
    (
        "metrics.dashboard.labels.grafana_dashboard=1",
        "metrics/dashboard/labels",
    ),
    (
        "podDisruptionBudget.maxUnavailable=0",
        "podDisruptionBudget/maxUnavailable",
    ),
    (
        "podDisruptionBudget.maxUnavailable=half",
        "podDisruptionBudget/maxUnavailable",
    ),
    ("commonLabels.build=7", "commonLabels/build"),
    ("podAnnotations.a.b=c", "podAnnotations/a"),
    ("tolerations={spot}", "tolerations"),
    ("affinity.podAffinty.a=b", "affinity"),
    (
        "topologySpreadConstraints[0].topologyKey=zone",
        "topologySpreadConstraints",
    ),
    ("dnsPolicy=Cluster", "dnsPolicy"),
    ("dnsConfig.search={a}", "dnsConfig"),
    ("hostAliases[0].ip=10.0.0.1", "hostAliases"),
    (
        "terminationGracePeriodSeconds=-1",
        "terminationGracePeriodSeconds",
    ),
    ("revisionHistoryLimit=many", "revisionHistoryLimit"),
    ("extraArgs=--log", "extraArgs"),
    ("extraArgs={1}", "extraArgs"),
    ("extraEnv[0].value=b", "extraEnv"),
    ("extraEnvFrom={secret}", "extraEnvFrom"),
    ("extraVolumes[0].emptyDir.medium=Memory", "extraVolumes"),
    ("extraVolumeMounts[0].name=v", "extraVolumeMounts"),
    ("extraObjects[0].kind=ConfigMap", "extraObjects"),
    ("tests.enabled=sometimes", "tests/enabled"),
];

#[test]
fn wrong_values_are_refused_by_name() {
    let mut taken = Vec::new();
    for (value, name) in REFUSED {
        let said = template(CHART, &set(&[value]));
        // Errors of the schema name a place, those of templates a value; helm writes either.
        let message = said.stderr.replace('.', "/");
        if said.status.success() || !message.contains(&name.replace('.', "/")) {
            taken.push(format!("{value}: {said}"));
        }
    }
    assert!(taken.is_empty(), "{}", taken.join("\n"));
}

#[test]
fn wrong_values_of_the_definitions_are_refused() {
    for value in ["keep=yes please", "kept=true", "annotations.wave[0]=1"] {
        let said = template(CRDS, &set(&[value]));
        let name = value.split(['=', '.']).next().unwrap();
        assert!(
            !said.status.success() && said.stderr.contains(name),
            "{value}: {said}"
        );
    }
}

/// A chart that has this one as a dependency hands on whatever is global there.
#[test]
fn what_is_global_may_be_of_others() {
    let said = template(CHART, &set(&["global.storageClass=fast"]));
    said.success().unwrap();
}

#[test]
fn an_old_kubernetes_is_refused() {
    for chart in [CHART, CRDS] {
        let said = template(chart, &["--kube-version=1.32.0"]);
        assert!(
            !said.status.success() && said.stderr.contains("1.33.0"),
            "{said}"
        );
        template(chart, &["--kube-version=1.33.0"])
            .success()
            .unwrap();
    }
}

#[test]
fn the_charts_are_without_fault() {
    for chart in [CHART, CRDS] {
        let folder = root().join("charts").join(chart);
        helm(&["lint", "--strict", &folder.to_string_lossy()])
            .success()
            .unwrap();
    }
}
