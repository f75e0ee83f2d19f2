//! The `ServiceMonitor`: has the Prometheus operator read the metrics of the pods.

use kube::ResourceExt;
use package_broker_crds::{DurationString, PackageBroker};

use crate::{
    children::{child_of, labels, selector},
    foreign::{Endpoint, ServiceMonitor, ServiceMonitorSpec, selecting},
};

/// The monitor, if there is to be one. Labels of the operator's count more than those of the spec.
pub(super) fn build(broker: &PackageBroker) -> Option<ServiceMonitor> {
    let wanted = &broker.spec.monitoring;
    if !wanted.service_monitor {
        return None;
    }
    let name = broker.name_any();
    let mut all = wanted.labels.clone();
    all.extend(labels(&name));
    Some(ServiceMonitor {
        metadata: child_of(broker, &name, all),
        spec: ServiceMonitorSpec {
            selector: selecting(selector(&name)),
            endpoints: vec![Endpoint {
                port: "operations".to_owned(),
                path: "/metrics".to_owned(),
                interval: wanted.interval.as_ref().map(interval),
            }],
        },
    })
}

/// A duration as Prometheus writes it, which wants units in their order and each once.
fn interval(duration: &DurationString) -> String {
    let duration = duration.duration();
    match duration.subsec_millis() {
        0 => format!("{}s", duration.as_secs()),
        _ => format!("{}ms", duration.as_millis()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_have_one_unit() {
        for (ours, theirs) in [("1m", "60s"), ("5s1m", "65s"), ("1500ms", "1500ms")] {
            let duration = DurationString::try_from(ours.to_owned()).unwrap();
            assert_eq!(interval(&duration), theirs);
        }
    }
}
