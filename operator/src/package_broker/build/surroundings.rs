//! What stands around the pods of a broker: each only if the spec asks for it.

use k8s_openapi::api::{
    autoscaling::v2::HorizontalPodAutoscaler,
    networking::v1::{Ingress, NetworkPolicy},
    policy::v1::PodDisruptionBudget,
};
use package_broker_crds::{Expose, PackageBroker};

use super::{autoscaling, deployment::most, disruption, expose, monitoring, networkpolicy};
use crate::foreign::{HTTPRoute, ServiceMonitor};

/// The objects that should exist; of the others none of the broker's may be left.
#[derive(Debug, Default)]
pub(crate) struct Surroundings {
    pub(crate) policy: Option<NetworkPolicy>,
    pub(crate) budget: Option<PodDisruptionBudget>,
    pub(crate) autoscaler: Option<HorizontalPodAutoscaler>,
    pub(crate) ingress: Option<Ingress>,
    pub(crate) route: Option<HTTPRoute>,
    pub(crate) monitor: Option<ServiceMonitor>,
}

/// Builds them.
pub(super) fn build(broker: &PackageBroker) -> Surroundings {
    let (ingress, route) = match &broker.spec.expose {
        None => (None, None),
        Some(Expose::Ingress(wanted)) => (Some(expose::ingress(broker, wanted)), None),
        Some(Expose::Gateway(wanted)) => (None, Some(expose::route(broker, wanted))),
    };
    let scaled = broker.spec.autoscaling.as_ref();
    Surroundings {
        policy: networkpolicy::build(broker),
        budget: disruption::build(broker, most(broker)),
        autoscaler: scaled.map(|wanted| autoscaling::build(broker, wanted)),
        ingress,
        route,
        monitor: monitoring::build(broker),
    }
}
