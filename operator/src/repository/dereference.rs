//! What a `Repository` names: its broker, and its Secret.

use std::sync::Arc;

use kube::ResourceExt;
use package_broker_crds::{PackageBroker, Repository};
use package_broker_kinds::SecretData;

use crate::{
    context::Context,
    error::ReconcileError,
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
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) broker: Option<Arc<PackageBroker>>,
    pub(super) secret: Named,
    /// What the broker said last.
    pub(super) live: Option<Arc<Live>>,
}

/// Looks it up.
pub(super) async fn dereference(
    repository: &Repository,
    context: &Context,
) -> Result<Found, ReconcileError> {
    let namespace = repository.namespace().unwrap_or_default();
    let name = repository.spec.broker_ref.name.as_str();
    Ok(Found {
        broker: context.broker(&namespace, name),
        secret: secret(repository, context).await?,
        live: context.answers.last(&namespace, name),
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
