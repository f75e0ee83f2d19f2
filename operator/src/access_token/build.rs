//! The Secret of a token: ready for `composer`, and for whatever reads `kubernetes.io/basic-auth`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use package_broker_crds::AccessToken;
use package_broker_kinds::auth::{USERNAME, auth_json};
use secrecy::{ExposeSecret, SecretString};

use super::{
    Token,
    dereference::Found,
    issue::{Issue, issue},
    owner,
    record::{self, PREVIOUS},
    validate::Valid,
};
use crate::{error::ReconcileError, package_broker::build::public_url};

/// The key of the token in a Secret that is made here.
pub(super) const PASSWORD: &str = "password";

/// A Secret that should be as it is here, and the token in it.
pub(super) struct Wanted {
    pub(super) secret: Secret,
    pub(super) token: Token,
}

/// The Secret that should exist; nothing if it is the user's own, or cannot be made yet.
pub(super) fn build(
    token: &AccessToken,
    found: &Found,
    valid: &Valid,
    now: Timestamp,
) -> Result<Option<Wanted>, ReconcileError> {
    let Some(broker) = found
        .broker
        .as_ref()
        .filter(|_| token.spec.existing_secret_ref.is_none())
    else {
        return Ok(None);
    };
    let Some(Issue {
        token: made,
        is_rotation,
    }) = issue(token, valid, now)?
    else {
        return Ok(None);
    };
    let mut metadata = owner::metadata(token, &made.secret);
    let annotations = metadata.annotations.get_or_insert_default();
    annotations.extend(record::annotations(&made.record, &made.hash));
    if is_rotation {
        // Only over the Secret that was read: of two operators that rotate it at once, one comes too late and looks again.
        let read = found.secret.as_ref();
        metadata.resource_version = read.and_then(|read| read.metadata.resource_version.clone());
    }
    let secret = Secret {
        metadata,
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        data: Some(data(&made, &public_url(broker))),
        ..Secret::default()
    };
    Ok(Some(Wanted {
        secret,
        token: made,
    }))
}

/// What is in the Secret.
fn data(made: &Token, url: &str) -> BTreeMap<String, ByteString> {
    let bytes = |text: &SecretString| text.expose_secret().as_bytes().to_vec();
    let auth = auth_json(&made.text, url).to_string().into_bytes();
    let mut data = BTreeMap::from([
        ("username", USERNAME.as_bytes().to_vec()),
        (PASSWORD, bytes(&made.text)),
        ("auth.json", auth),
    ]);
    if let Some(previous) = &made.record.previous {
        data.insert(PREVIOUS, bytes(&previous.text));
    }
    data.into_iter()
        .map(|(key, value)| (key.to_owned(), ByteString(value)))
        .collect()
}
