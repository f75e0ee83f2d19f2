//! What a `PackageBroker` is made of: its repositories and tokens, each with its Secret.

use std::sync::Arc;

use package_broker_crds::{AccessToken, PackageBroker, Repository};

use crate::{
    access_token::{self, Token},
    context::Context,
    error::ReconcileError,
    refusal::Refusal,
    repository,
};
use package_broker_kinds::SecretData;

/// An object with what goes with it, if it can be used.
type Judged<K, T> = (Arc<K>, Result<T, Refusal>);

/// What was found. What is wrong with one object keeps no other out.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) repositories: Vec<Judged<Repository, Option<SecretData>>>,
    pub(crate) tokens: Vec<Judged<AccessToken, Token>>,
}

/// Looks all of it up.
pub(super) async fn dereference(
    broker: &PackageBroker,
    context: &Context,
) -> Result<Found, ReconcileError> {
    let mut found = Found::default();
    for repository in context.repositories_of(broker) {
        let judged = repository::judge(&repository, broker, context).await?;
        found.repositories.push((repository, judged));
    }
    for token in context.tokens_of(broker) {
        let judged = access_token::judge(&token, context).await?;
        found.tokens.push((token, judged));
    }
    Ok(found)
}
