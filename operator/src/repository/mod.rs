//! `Repository`: a source of packages of a broker.

mod dereference;
mod status;
#[cfg(test)]
mod tests;
mod validate;

use std::sync::Arc;

use kube::{
    Resource, ResourceExt,
    runtime::{controller::Action, reflector::ObjectRef},
};
use package_broker_crds::{PackageBroker, Repository};
use package_broker_kinds::SecretData;

use self::dereference::Named;
use crate::{
    context::Context,
    error::ReconcileError,
    member::admitted,
    refusal::Refusal,
    runtime::{conditions::stands, failpoint::reach},
};

/// Says how it stands with a repository. What makes it be served is the reconcile of its broker, which takes in all of
/// its repositories at once.
pub(crate) async fn reconcile(
    repository: Arc<Repository>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if repository.meta().deletion_timestamp.is_some() {
        return Ok(context.backoffs.settled(repository.as_ref()));
    }
    let found = dereference::dereference(&repository, &context).await?;
    reach("repository.dereferenced");
    let verdict = validate::validate(&repository, &found);
    let before = repository.status.as_ref();
    let before = before.map_or(&[][..], |status| &status.conditions);
    if found.live.is_none() && stands(before, repository.metadata.generation, &verdict) {
        return Ok(context.backoffs.settled(repository.as_ref()));
    }
    status::write(&repository, &found, verdict, &context).await
}

/// The version of the Secret that a repository names.
pub(crate) fn secret_version(repository: &Repository, context: &Context) -> Option<String> {
    let name = repository
        .spec
        .credentials_secret_ref
        .as_ref()?
        .name
        .as_str();
    let namespace = repository.namespace().unwrap_or_default();
    let secret = ObjectRef::new(name).within(&namespace);
    context.children.secrets.get(&secret)?.resource_version()
}

/// Whether a repository can be used, and its credentials if it has any.
pub(crate) async fn judge(
    repository: &Repository,
    broker: &PackageBroker,
    context: &Context,
) -> Result<Result<Option<SecretData>, Refusal>, ReconcileError> {
    if let Err(refusal) = admitted(repository, broker, &context.repositories, context) {
        return Ok(Err(refusal));
    }
    let secret = dereference::secret(repository, context).await?;
    let judged = validate::judge(repository, broker, &secret);
    Ok(judged.map(|()| match secret {
        Named::Found(data) => Some(data),
        Named::None | Named::Missing => None,
    }))
}
