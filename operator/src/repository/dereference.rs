//! What a `Repository` names: its broker, and its Secret.

use std::sync::Arc;

use kube::ResourceExt;
use package_broker_crds::{PackageBroker, Repository};
use package_broker_kinds::SecretData;

use crate::{
    context::Context,
    error::ReconcileError,
    member::{admitted, home},
    refusal::Refusal,
    runtime::{live::Live, secrets},
};

/// The Secrets that a repository names.
#[derive(Debug, Default)]
pub(super) struct NamedSecrets {
    /// What its source is asked with.
    pub(super) credentials: Named,
    /// What calls of its webhook are proven with.
    pub(super) webhook: Named,
}

/// A Secret that a repository names.
#[derive(Debug, Default)]
pub(super) enum Named {
    /// It names none.
    #[default]
    None,
    /// There is none of that name.
    Missing,
    /// What is in it.
    Found(SecretData),
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) broker: Option<Arc<PackageBroker>>,
    /// Whether that takes it from its namespace.
    pub(super) admitted: Result<(), Refusal>,
    pub(super) secrets: NamedSecrets,
    /// What the broker said last.
    pub(super) live: Option<Arc<Live>>,
}

/// Looks it up.
pub(super) async fn dereference(
    repository: &Repository,
    context: &Context,
) -> Result<Found, ReconcileError> {
    let (namespace, name) = home(repository);
    let broker = context.broker(&namespace, &name);
    let admitted = broker.as_ref().map_or(Ok(()), |broker| {
        admitted(repository, broker, &context.repositories, context)
    });
    Ok(Found {
        broker,
        admitted,
        secrets: secrets(repository, context).await?,
        live: context.answers.last(&namespace, &name),
    })
}

/// The Secrets that it names.
pub(super) async fn secrets(
    repository: &Repository,
    context: &Context,
) -> Result<NamedSecrets, ReconcileError> {
    let namespace = repository.namespace().unwrap_or_default();
    let find = async |name: Option<&str>| -> Result<Named, ReconcileError> {
        let Some(name) = name else {
            return Ok(Named::None);
        };
        let data = secrets::read(&context.client, &namespace, name).await?;
        Ok(data.map_or(Named::Missing, Named::Found))
    };
    Ok(NamedSecrets {
        credentials: find(credentials_secret(repository)).await?,
        webhook: find(webhook_secret(repository)).await?,
    })
}

/// The name of the Secret with its credentials.
pub(crate) fn credentials_secret(repository: &Repository) -> Option<&str> {
    let reference = repository.spec.credentials_secret_ref.as_ref()?;
    Some(reference.name.as_str())
}

/// The name of the Secret of its webhook.
pub(crate) fn webhook_secret(repository: &Repository) -> Option<&str> {
    let webhook = repository.spec.webhook.as_ref()?;
    Some(webhook.secret_ref.name.as_str())
}
