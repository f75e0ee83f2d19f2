//! What an `AccessToken` names: its broker, and the Secret with the token.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use package_broker_crds::{AccessToken, PackageBroker};

use super::validate;
use crate::{
    context::Context,
    error::ReconcileError,
    member::{admitted, home},
    refusal::Refusal,
    runtime::live::Live,
};

/// What was found.
pub(super) struct Found {
    pub(super) broker: Option<Arc<PackageBroker>>,
    /// Whether that takes it from its namespace.
    pub(super) admitted: Result<(), Refusal>,
    /// The Secret that the token is, or will be, in.
    pub(super) secret: Option<Secret>,
    /// The other objects that had the token in this Secret when they were looked at last.
    pub(super) others: Vec<Arc<AccessToken>>,
    /// What the broker said last.
    pub(super) live: Option<Arc<Live>>,
}

/// Looks it up.
pub(super) async fn dereference(
    token: &AccessToken,
    context: &Context,
) -> Result<Found, ReconcileError> {
    let (namespace, name) = home(token);
    let broker = context.broker(&namespace, &name);
    let admitted = broker.as_ref().map_or(Ok(()), |broker| {
        admitted(token, broker, &context.tokens, context)
    });
    let secret = secret(token, context).await?;
    Ok(Found {
        broker,
        admitted,
        others: doubles(token, secret.as_ref(), context),
        secret,
        live: context.answers.last(&namespace, &name),
    })
}

/// The Secret that a token is in, if it is there.
pub(super) async fn secret(
    token: &AccessToken,
    context: &Context,
) -> Result<Option<Secret>, ReconcileError> {
    let namespace = token.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(context.client.clone(), &namespace);
    Ok(secrets.get_opt(&place(token).0).await?)
}

/// The name of the Secret that a token is in, and its key there.
pub(super) fn place(token: &AccessToken) -> (String, String) {
    if let Some(brought) = &token.spec.existing_secret_ref {
        return (
            brought.name.as_str().to_owned(),
            brought.key.as_str().to_owned(),
        );
    }
    let chosen = token
        .spec
        .secret
        .as_ref()
        .and_then(|secret| secret.name.as_ref());
    let name = chosen.map_or_else(|| token.name_any(), |name| name.as_str().to_owned());
    (name, super::build::PASSWORD.to_owned())
}

/// Objects of the same broker with the token that is in the Secret.
fn doubles(
    token: &AccessToken,
    secret: Option<&Secret>,
    context: &Context,
) -> Vec<Arc<AccessToken>> {
    let Some(fingerprint) = validate::fingerprint(token, secret) else {
        return Vec::new();
    };
    let mut found = context.tokens.state();
    found.retain(|other| {
        let status = other.status.as_ref();
        status.and_then(|status| status.fingerprint.as_ref()) == Some(&fingerprint)
            && other.uid() != token.uid()
            && other.metadata.deletion_timestamp.is_none()
            && home(other.as_ref()) == home(token)
    });
    found
}
