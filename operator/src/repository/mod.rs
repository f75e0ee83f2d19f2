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
use package_broker_kinds::RepositorySecrets;

use self::dereference::Named;
pub(crate) use self::dereference::{credentials_secret, webhook_secret};
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
    let repository = context.written.newest(repository);
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

/// The version of the Secret with a repository's credentials.
pub(crate) fn credentials_version(repository: &Repository, context: &Context) -> Option<String> {
    version(repository, credentials_secret(repository), context)
}

/// The version of the Secret of a repository's webhook.
pub(crate) fn webhook_version(repository: &Repository, context: &Context) -> Option<String> {
    version(repository, webhook_secret(repository), context)
}

fn version(repository: &Repository, secret: Option<&str>, context: &Context) -> Option<String> {
    let namespace = repository.namespace().unwrap_or_default();
    let secret = ObjectRef::new(secret?).within(&namespace);
    context.children.secrets.get(&secret)?.resource_version()
}

/// The names of the Secrets that a repository names.
pub(crate) fn secrets_of(repository: &Repository) -> impl Iterator<Item = &str> {
    let named = [credentials_secret(repository), webhook_secret(repository)];
    named.into_iter().flatten()
}

/// Whether a repository can be used, and what is secret about it.
pub(crate) async fn judge(
    repository: &Repository,
    broker: &PackageBroker,
    context: &Context,
) -> Result<Result<RepositorySecrets, Refusal>, ReconcileError> {
    if let Err(refusal) = admitted(repository, broker, &context.repositories, context) {
        return Ok(Err(refusal));
    }
    let secrets = dereference::secrets(repository, context).await?;
    let judged = validate::judge(repository, broker, &secrets);
    let found = |named| match named {
        Named::Found(data) => Some(data),
        Named::None | Named::Missing => None,
    };
    Ok(judged.map(|()| RepositorySecrets {
        credentials: found(secrets.credentials),
        webhook: found(secrets.webhook),
    }))
}
