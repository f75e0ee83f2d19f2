//! What belongs to a broker.

use std::sync::Arc;

use kube::{Resource, runtime::reflector::Store};
use package_broker_crds::{AccessToken, BrokerRef, Repository};

/// An object that belongs to a broker of its namespace.
pub(crate) trait Member: Resource<DynamicType = ()> + Clone + 'static {
    /// The broker.
    fn broker(&self) -> &BrokerRef;
}

impl Member for Repository {
    fn broker(&self) -> &BrokerRef {
        &self.spec.broker_ref
    }
}

impl Member for AccessToken {
    fn broker(&self) -> &BrokerRef {
        &self.spec.broker_ref
    }
}

/// All members of the broker of this name, in no order.
pub(crate) fn members<K: Member>(store: &Store<K>, namespace: &str, name: &str) -> Vec<Arc<K>> {
    let mut found = store.state();
    found.retain(|member| {
        member.meta().namespace.as_deref() == Some(namespace)
            && member.broker().name.as_str() == name
    });
    found
}
