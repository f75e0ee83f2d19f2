//! The `NetworkPolicy`: who may connect to the pods.

use k8s_openapi::{
    api::networking::v1::{
        NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
        NetworkPolicySpec,
    },
    apimachinery::pkg::{apis::meta::v1::LabelSelector, util::intstr::IntOrString},
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{HTTP, OPERATIONS};
use crate::{
    children::{child_of, labels, selector},
    foreign::selecting,
};

/// The policy, if there is to be one. Says nothing of what pods connect to: their sources may be anywhere.
pub(super) fn build(broker: &PackageBroker) -> Option<NetworkPolicy> {
    let wanted = &broker.spec.network_policy;
    if !wanted.enabled {
        return None;
    }
    let name = broker.name_any();
    let everywhere = || NetworkPolicyPeer {
        namespace_selector: Some(LabelSelector::default()),
        ..NetworkPolicyPeer::default()
    };
    let clients = (!wanted.from.is_empty()).then(|| wanted.from.clone());
    Some(NetworkPolicy {
        metadata: child_of(broker, &name, labels(&name)),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(selecting(selector(&name))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                to(HTTP, clients),
                // The operator asks here, and whoever reads metrics.
                to(OPERATIONS, Some(vec![everywhere()])),
            ]),
            ..NetworkPolicySpec::default()
        }),
    })
}

/// Connections to a port, from everybody if nobody is named.
fn to(port: i32, from: Option<Vec<NetworkPolicyPeer>>) -> NetworkPolicyIngressRule {
    NetworkPolicyIngressRule {
        from,
        ports: Some(vec![NetworkPolicyPort {
            port: Some(IntOrString::Int(port)),
            protocol: Some("TCP".to_owned()),
            ..NetworkPolicyPort::default()
        }]),
    }
}
