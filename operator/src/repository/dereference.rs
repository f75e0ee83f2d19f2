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

/// The Secret that a repository names.
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
    pub(super) secret: Named,
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
        secret: secret(repository, context).await?,
        live: context.answers.last(&namespace, &name),
    })
}

/// The Secret that it names.
pub(super) async fn secret(
    repository: &Repository,
    context: &Context,
) -> Result<Named, ReconcileError> {
    let Some(reference) = &repository.spec.credentials_secret_ref else {
        return Ok(Named::None);
    };
    let namespace = repository.namespace().unwrap_or_default();
    let data = secrets::read(&context.client, &namespace, reference.name.as_str()).await?;
    Ok(data.map_or(Named::Missing, Named::Found))
}
