//! The keys that credentials in a database are encrypted with: made once, never overwritten.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use package_broker_core::domain::keyring::KeyRing;
use package_broker_crds::{DeletionPolicy, PackageBroker};
use secrecy::ExposeSecret;

use super::named;
use crate::{
    children::{child_of, labels, orphan},
    package_broker::servers::KEYS,
};

/// A Secret with these keys. It goes with its broker only if the spec says so: the database does not go either.
pub(super) fn build(broker: &PackageBroker, keys: &KeyRing) -> Secret {
    let make = match broker.spec.deletion_policy {
        DeletionPolicy::Retain => orphan,
        DeletionPolicy::Delete => child_of,
    };
    let text = keys.to_text();
    let text = ByteString(text.expose_secret().as_bytes().to_vec());
    Secret {
        metadata: make(broker, &named(broker, KEYS), labels(&broker.name_any())),
        type_: Some("package.broker/keys".to_owned()),
        data: Some(BTreeMap::from([(KEYS.to_owned(), text)])),
        ..Secret::default()
    }
}
