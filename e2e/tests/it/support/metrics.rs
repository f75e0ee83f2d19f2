//! What `/metrics` says.

use std::collections::BTreeMap;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::http::get;

use super::registry::Registry;

/// One reading of all metrics.
pub(crate) struct Metrics {
    /// As it was answered.
    pub(crate) text: String,
    /// Values by name and labels, as `name{label="value"}`.
    values: BTreeMap<String, String>,
}

impl Metrics {
    /// Reads them now.
    pub(crate) fn read(registry: &Registry) -> Self {
        Self::read_of(&registry.broker)
    }

    /// Those of any broker.
    pub(crate) fn read_of(broker: &Broker) -> Self {
        let answer = get(&format!("{}/metrics", broker.metrics_url()), &[]).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let text = answer.text();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let values = samples.map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(value.parse::<f64>().is_ok(), "{line}");
            (name.to_owned(), value.to_owned())
        });
        Self {
            values: values.collect(),
            text,
        }
    }

    /// A count of ours, by its name without our prefix; 0 before there is anything to count.
    pub(crate) fn of(&self, name: &str) -> usize {
        let value = self.values.get(&format!("package_broker_{name}"));
        value.map_or(0, |value| value.parse().unwrap())
    }

    /// A gauge of ours, by its name without our prefix; it must be there.
    pub(crate) fn gauge(&self, name: &str) -> f64 {
        let value = self.values.get(&format!("package_broker_{name}"));
        let value = value.unwrap_or_else(|| panic!("no {name} in\n{}", self.text));
        value.parse().unwrap()
    }
}
