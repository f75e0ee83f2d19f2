//! The `HorizontalPodAutoscaler`: as many pods as their CPU asks for.

use k8s_openapi::api::{
    apps::v1::Deployment,
    autoscaling::v2::{
        CrossVersionObjectReference, HorizontalPodAutoscaler, HorizontalPodAutoscalerSpec,
        MetricSpec, MetricTarget, ResourceMetricSource,
    },
};
use kube::ResourceExt;
use package_broker_crds::{Autoscaling, PackageBroker};

use crate::children::{child_of, labels};

/// The autoscaler of a broker's Deployment.
pub(super) fn build(broker: &PackageBroker, wanted: &Autoscaling) -> HorizontalPodAutoscaler {
    let name = broker.name_any();
    HorizontalPodAutoscaler {
        metadata: child_of(broker, &name, labels(&name)),
        spec: HorizontalPodAutoscalerSpec {
            min_replicas: Some(wanted.min_replicas),
            max_replicas: wanted.max_replicas,
            metrics: Some(vec![MetricSpec {
                type_: "Resource".to_owned(),
                resource: Some(ResourceMetricSource {
                    name: "cpu".to_owned(),
                    target: MetricTarget {
                        type_: "Utilization".to_owned(),
                        average_utilization: Some(wanted.target_cpu_utilization_percentage),
                        ..MetricTarget::default()
                    },
                }),
                ..MetricSpec::default()
            }]),
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name,
            },
            ..HorizontalPodAutoscalerSpec::default()
        },
        ..HorizontalPodAutoscaler::default()
    }
}

/// A Deployment with as many replicas as the autoscaler gave the one that was seen, within its bounds. A number that is not
/// said at all would be 1 as soon as it is no longer said: all pods but one would go when the autoscaler comes.
pub(crate) fn as_scaled(
    broker: &PackageBroker,
    mut deployment: Deployment,
    seen: Option<&Deployment>,
) -> Deployment {
    if let Some(scaled) = &broker.spec.autoscaling {
        let now = seen.and_then(|seen| seen.spec.replicas).unwrap_or_default();
        let within = now.max(scaled.min_replicas).min(scaled.max_replicas);
        deployment.spec.replicas = Some(within);
    }
    deployment
}
