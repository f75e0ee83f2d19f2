//! `AccessToken`: a token of a broker, and the Secret that it is in.

mod apply;
mod build;
mod credentials;
mod dereference;
mod issue;
mod owner;
mod record;
mod status;
#[cfg(test)]
mod tests;
mod validate;
mod verdict;

use std::sync::Arc;

use jiff::Timestamp;
use kube::{Resource, ResourceExt, runtime::controller::Action};
use package_broker_core::domain::token::TokenHash;
use package_broker_crds::{AccessToken, PackageBroker};
use package_broker_kinds::belonging::name_within;
use secrecy::SecretString;

#[cfg(test)]
pub(crate) use self::record::Previous;
pub(crate) use self::{
    credentials::{Credential, credentials},
    record::Record,
};
use crate::{
    context::Context,
    error::ReconcileError,
    member::{admitted, home},
    refusal::Refusal,
    runtime::failpoint::reach,
};

/// A token that can be used, and where it is.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: SecretString,
    pub(crate) hash: TokenHash,
    /// The Secret.
    pub(crate) secret: String,
    /// The key in it.
    pub(crate) key: String,
    /// What is known of it.
    pub(crate) record: Record,
}

/// Brings a token's Secret to what the spec says: that first, as it is where the token lives. That the broker takes the
/// token is the reconcile of the broker.
pub(crate) async fn reconcile(
    token: Arc<AccessToken>,
    context: Arc<Context>,
) -> Result<Action, ReconcileError> {
    if token.meta().deletion_timestamp.is_some() {
        return Ok(context.backoffs.settled(token.as_ref()));
    }
    let found = dereference::dereference(&token, &context).await?;
    reach("token.dereferenced");
    let valid = validate::validate(&token, &found);
    let wanted = build::build(&token, &found, &valid, Timestamp::now())?;
    let applied = apply::apply(wanted, valid, &context).await?;
    reach("token.applied");
    status::write(&token, &found, applied, &context).await
}

/// The token as it is in its Secret now, if it can be used.
pub(crate) async fn judge(
    token: &AccessToken,
    broker: &PackageBroker,
    context: &Context,
) -> Result<Result<Token, Refusal>, ReconcileError> {
    if let Err(refusal) = admitted(token, broker, &context.tokens, context) {
        return Ok(Err(refusal));
    }
    let secret = dereference::secret(token, context).await?;
    let judged = validate::judge(token, secret.as_ref());
    Ok(judged.map(|judged| within(judged, token)))
}

/// The token as its broker knows it: Secrets of several namespaces may have one name.
fn within(judged: Token, token: &AccessToken) -> Token {
    let namespace = token.namespace().unwrap_or_default();
    let (of_broker, _) = home(token);
    Token {
        secret: name_within(&judged.secret, &namespace, &of_broker),
        ..judged
    }
}

/// The name of the Secret that a token is, or will be, in.
pub(crate) fn secret_of(token: &AccessToken) -> String {
    dereference::place(token).0
}
