//! What stands around the pods of a registry in a cluster: who may connect, how many there are, who watches them.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::NetworkPolicyPeer;
use kube::{KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

use crate::text::{DurationString, maps};

/// How many pods serve, by how much they have to do.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.minReplicas <= self.maxReplicas")
    .message("the least is more than the most; lower minReplicas, or raise maxReplicas")
    .field_path(".minReplicas"))]
#[serde(rename_all = "camelCase")]
pub struct Autoscaling {
    /// Pods there are at least, 1 to 100. Default: `2`.
    #[serde(default = "Autoscaling::default_least")]
    #[schemars(range(min = 1, max = 100))]
    pub min_replicas: i32,

    /// Pods there are at most, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub max_replicas: i32,

    /// How much of the CPU that a pod requests it should use, over all pods, in percent; 1 to 1000.
    /// Default: `80`.
    #[serde(
        rename = "targetCPUUtilizationPercentage",
        default = "Autoscaling::default_target"
    )]
    #[schemars(range(min = 1, max = 1_000))]
    pub target_cpu_utilization_percentage: i32,
}

impl Autoscaling {
    fn default_least() -> i32 {
        2
    }

    fn default_target() -> i32 {
        80
    }
}

/// Who may connect to the pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("self.enabled || !has(self.from) || self.from.size() == 0")
    .message("there is no policy, so from has no effect; set spec.networkPolicy.enabled to true, or remove from")
    .field_path(".from"))]
#[serde(rename_all = "camelCase")]
pub struct NetworkAccess {
    /// Whether there is a NetworkPolicy. It is about who connects to the pods: what they connect to
    /// is not restricted by it, as sources may be anywhere; see `spec.egress`. Needs a network that
    /// enforces policies. Default: `false`.
    #[serde(default)]
    pub enabled: bool,

    /// Who may connect to the port that clients use, as in a NetworkPolicy. The port of probes,
    /// metrics and status is open to every pod of the cluster. Up to 32. Default: everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(validation = Rule::new(
            "self.all(peer, has(peer.ipBlock) != (has(peer.podSelector) || has(peer.namespaceSelector)))"
        )
        .message("a peer is either a network or some pods; write ipBlock, or podSelector and namespaceSelector"))]
    pub from: Vec<NetworkPolicyPeer>,
}

/// Who watches the pods.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.serviceMonitor || !has(self.labels) || self.labels.size() == 0")
        .message("there is no ServiceMonitor, so labels has no effect; set spec.monitoring.serviceMonitor to true, or remove labels")
        .field_path(".labels"),
    validation = Rule::new("self.serviceMonitor || !has(self.interval)")
        .message("there is no ServiceMonitor, so interval has no effect; set spec.monitoring.serviceMonitor to true, or remove interval")
        .field_path(".interval")
)]
#[serde(rename_all = "camelCase")]
pub struct Monitoring {
    /// Whether there is a ServiceMonitor, so that the Prometheus operator has the pods' metrics
    /// read. Without its CustomResourceDefinition there is none until that is installed.
    /// Default: `false`.
    #[serde(default)]
    pub service_monitor: bool,

    /// Labels of the ServiceMonitor, by which Prometheus finds it. Up to 32. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "maps::labels")]
    pub labels: BTreeMap<String, String>,

    /// Between two reads, at least `1s`. Default: that of Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("!self.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self) >= duration('1s')")
            .message("metrics would be read all the time; write 1s or more, for instance 30s")
    )]
    pub interval: Option<DurationString>,
}

/// A share of what is not requested is nothing.
pub(super) fn scalable_resources_rule() -> Rule {
    let has =
        |what: &str| format!("(has(self.resources.{what}) && 'cpu' in self.resources.{what})");
    Rule::new(format!(
        "!has(self.autoscaling) || !has(self.resources) || {} || {}",
        has("requests"),
        has("limits")
    ))
    .message("pods are counted by their share of the CPU that they request; set spec.resources.requests.cpu, or remove autoscaling")
    .field_path(".resources")
}

/// One pod has its volume for itself.
pub(super) fn scalable_state_rule() -> Rule {
    Rule::new("!has(self.autoscaling) || has(self.database)")
        .message("without a database there is one pod, with its state on a volume; write database and storage, or remove autoscaling")
        .field_path(".autoscaling")
}

/// Two numbers of pods would be one too many.
pub(super) fn one_count_rule() -> Rule {
    Rule::new("!has(self.autoscaling) || !has(self.replicas)")
        .message("the number of pods follows from autoscaling; remove replicas, or autoscaling")
        .field_path(".replicas")
}
