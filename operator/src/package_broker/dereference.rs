//! What a `PackageBroker` is made of: its repositories and tokens, each with its Secret.

use std::{collections::BTreeMap, sync::Arc};

use kube::ResourceExt;
use package_broker_crds::{AccessToken, PackageBroker, Repository};

use super::{build::administrator, servers};
use crate::{
    access_token::{self, Taken},
    context::Context,
    error::ReconcileError,
    member::localized,
    refusal::Refusal,
    repository,
    runtime::secrets,
};
use package_broker_kinds::{RepositorySecrets, SecretData};

/// An object with what goes with it, if it can be used.
type Judged<K, T> = (Arc<K>, Result<T, Refusal>);

/// What was found, each object as its broker knows it. What is wrong with one keeps no other out.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) repositories: Vec<Judged<Repository, RepositorySecrets>>,
    pub(crate) tokens: Vec<Judged<AccessToken, Taken>>,
    /// The version of each repository's Secret, by the repository's name.
    pub(crate) versions: BTreeMap<String, String>,
    /// Those of [`secret_names`], by name, as far as they are there.
    pub(crate) secrets: BTreeMap<String, SecretData>,
}

/// Looks all of it up.
pub(super) async fn dereference(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Found, ReconcileError> {
    let mut found = Found::default();
    for repository in context.repositories_of(broker) {
        let judged = repository::judge(&repository, broker, context).await?;
        let version = repository::credentials_version(&repository, context);
        let local = localized(&repository);
        let version = version.map(|version| (local.name_any(), version));
        found.versions.extend(version);
        found.repositories.push((local, judged));
    }
    for token in context.tokens_of(broker) {
        let judged = access_token::judge(&token, broker, context).await?;
        found.tokens.push((localized(&token), judged));
    }
    found.secrets = secrets(broker, context).await?;
    Ok(found)
}

/// The names of the Secrets that a broker reads: those that lead to servers, and that of its administrator.
pub(super) fn secret_names(broker: &PackageBroker) -> Vec<String> {
    let mut names = vec![administrator::secret_of(broker)];
    if broker.spec.database.is_some() {
        names.extend(servers::secret_names(broker));
    }
    names
}

/// These Secrets, as far as they are there.
pub(super) async fn secrets(
    broker: &PackageBroker,
    context: &Context,
) -> Result<BTreeMap<String, SecretData>, ReconcileError> {
    let mut found = BTreeMap::new();
    let namespace = broker.namespace().unwrap_or_default();
    for name in secret_names(broker) {
        let data = secrets::read(&context.client, &namespace, &name).await?;
        found.extend(data.map(|data| (name, data)));
    }
    Ok(found)
}
