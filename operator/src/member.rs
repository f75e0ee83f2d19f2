//! What belongs to a broker.

use std::sync::Arc;

use kube::{Resource, ResourceExt, runtime::reflector::Store};
use package_broker_crds::{
    AccessToken, BrokerRef, NamespaceRule, PackageBroker, Reason, Repository,
};
use package_broker_kinds::belonging::{self, broker_of, name_within};

use crate::{context::Context, refusal::Refusal};

/// An object that belongs to a broker, of its own namespace or of another.
pub(crate) trait Member: Resource<DynamicType = ()> + Clone + 'static {
    /// The field of a broker that says from where it may come.
    const FIELD: &'static str;

    /// The broker.
    fn broker(&self) -> &BrokerRef;

    /// From where a broker lets such objects come.
    fn rule(broker: &PackageBroker) -> &NamespaceRule;

    /// The object as its broker knows it.
    fn localized(&self, of_broker: &str) -> Self;
}

impl Member for Repository {
    const FIELD: &'static str = "repositories";

    fn broker(&self) -> &BrokerRef {
        &self.spec.broker_ref
    }

    fn rule(broker: &PackageBroker) -> &NamespaceRule {
        &broker.spec.allowed_namespaces.repositories
    }

    fn localized(&self, of_broker: &str) -> Self {
        let namespace = self.namespace().unwrap_or_default();
        belonging::localized_repository(self, &namespace, of_broker)
    }
}

impl Member for AccessToken {
    const FIELD: &'static str = "accessTokens";

    fn broker(&self) -> &BrokerRef {
        &self.spec.broker_ref
    }

    fn rule(broker: &PackageBroker) -> &NamespaceRule {
        &broker.spec.allowed_namespaces.access_tokens
    }

    fn localized(&self, of_broker: &str) -> Self {
        let namespace = self.namespace().unwrap_or_default();
        belonging::localized_token(self, &namespace, of_broker)
    }
}

/// Namespace and name of the broker that an object belongs to.
pub(crate) fn home<K: Member>(member: &K) -> (String, String) {
    let namespace = member.namespace().unwrap_or_default();
    let (namespace, name) = broker_of(member.broker(), &namespace);
    (namespace.to_owned(), name.to_owned())
}

/// The name that an object has within its broker.
pub(crate) fn local_name<K: Member>(member: &K) -> String {
    let namespace = member.namespace().unwrap_or_default();
    name_within(&member.name_any(), &namespace, &home(member).0)
}

/// The object as its broker knows it: itself, if it is of the same namespace.
pub(crate) fn localized<K: Member>(member: &Arc<K>) -> Arc<K> {
    let (of_broker, _) = home(member.as_ref());
    if member.namespace().as_deref() == Some(&of_broker) {
        return Arc::clone(member);
    }
    Arc::new(member.localized(&of_broker))
}

/// Whether the broker lets the object belong to it.
///
/// # Errors
/// What to do about it.
pub(crate) fn admitted<K: Member>(
    member: &K,
    broker: &PackageBroker,
    others: &Store<K>,
    context: &Context,
) -> Result<(), Refusal> {
    let (namespace, of_broker) = (
        member.namespace().unwrap_or_default(),
        broker.namespace().unwrap_or_default(),
    );
    if namespace == of_broker {
        return Ok(());
    }
    let labels = context.namespace_labels(&namespace);
    let pair = (namespace.as_str(), of_broker.as_str());
    belonging::admit(K::rule(broker), K::FIELD, pair, labels.as_ref()).map_err(|fix| {
        let name = broker.name_any();
        let message = format!(
            "spec.brokerRef.namespace: PackageBroker \"{name}\" does not take this from namespace {namespace}; {fix}"
        );
        Refusal::new(Reason::NotAllowed, message)
    })?;
    let local = local_name(member);
    let mut own = others.state().into_iter();
    if own.any(|other| other.namespace() == broker.namespace() && other.name_any() == local) {
        let message = format!(
            "metadata.name: within the PackageBroker this would be called \"{local}\", as an object in namespace {of_broker} is; give one of them another name"
        );
        return Err(Refusal::new(Reason::Conflict, message));
    }
    Ok(())
}

/// All members of the broker of this name, in no order.
pub(crate) fn members<K: Member>(store: &Store<K>, namespace: &str, name: &str) -> Vec<Arc<K>> {
    let mut found = store.state();
    found.retain(|member| {
        let own = member.meta().namespace.as_deref().unwrap_or_default();
        broker_of(member.broker(), own) == (namespace, name)
    });
    found
}
