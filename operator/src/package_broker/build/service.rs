//! The service: port 80 for clients, the port of probes for the operator and for Prometheus.

use k8s_openapi::{
    api::core::v1::{Service, ServicePort, ServiceSpec},
    apimachinery::pkg::util::intstr::IntOrString,
};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;

use super::{OPERATIONS, SERVICE};
use crate::children::{child_of, labels, selector};

pub(super) fn build(broker: &PackageBroker) -> Service {
    let name = broker.name_any();
    let port = |name: &str, port: i32| ServicePort {
        name: Some(name.to_owned()),
        port,
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    Service {
        metadata: child_of(broker, &name, labels(&name)),
        spec: Some(ServiceSpec {
            selector: Some(selector(&name)),
            ports: Some(vec![port("http", SERVICE), port("operations", OPERATIONS)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}
