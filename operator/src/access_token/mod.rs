//! `AccessToken`: a token of a broker, and the Secret that it is in.

mod apply;
mod build;
mod credentials;
mod dereference;
pub(crate) mod held;
mod issue;
pub(crate) mod looks;
mod owner;
mod record;
pub(crate) mod settled;
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
use secrecy::SecretString;

pub(crate) use self::{
    credentials::{Credential, credentials},
    record::Record,
};
use crate::{
    context::Context, error::ReconcileError, member::admitted, refusal::Refusal,
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

/// What a broker takes of a token: nothing that anybody could use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) hash: TokenHash,
    pub(crate) issued_at: Option<Timestamp>,
    /// The token before, and until when that is valid.
    pub(crate) previous: Option<(TokenHash, Timestamp)>,
}

impl From<Token> for Taken {
    fn from(token: Token) -> Self {
        let previous = token.record.previous.as_ref();
        Self {
            hash: token.hash,
            issued_at: token.record.issued_at,
            previous: previous.map(|previous| (previous.hash, previous.valid_until)),
        }
    }
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
    let token = context.written.newest(token);
    let seen = settled::seen(&token, &context);
    let inputs = settled::inputs(&seen, token.status.as_ref());
    if let Some(action) = context.token_looks.stands(&token, &inputs) {
        return Ok(action);
    }
    if let Some(left) = context.holds.left(&token, &context) {
        return Ok(Action::requeue(left));
    }
    let found = dereference::dereference(&token, &context).await?;
    reach("token.dereferenced");
    let valid = validate::validate(&token, &found);
    let wanted = build::build(&token, &found, &valid, Timestamp::now())?;
    let applied = apply::apply(&token, wanted, valid, &context).await?;
    reach("token.applied");
    if let Some(hold) = applied.hold {
        return Ok(Action::requeue(hold));
    }
    status::write(&token, &found, applied, (&seen, &context)).await
}

/// The token as it is in its Secret now, if it can be used. The Secret is read when it, or the object, is another than at
/// the last look.
pub(crate) async fn judge(
    token: &AccessToken,
    broker: &PackageBroker,
    context: &Context,
) -> Result<Result<Taken, Refusal>, ReconcileError> {
    if let Err(refusal) = admitted(token, broker, &context.tokens, context) {
        return Ok(Err(refusal));
    }
    let look = looks::Look::at(token, context);
    if let Some(judged) = context.looks.known(token, look.as_ref()) {
        return Ok(judged);
    }
    let secret = dereference::secret(token, context).await?;
    let judged = validate::judge(token, secret.as_ref()).map(Taken::from);
    // What was read may be newer than what was seen: then the next look finds another version, and reads it again.
    context.looks.note(token, look, judged.clone());
    Ok(judged)
}

/// Namespace and name, which things are remembered by.
fn key(token: &AccessToken) -> (String, String) {
    (token.namespace().unwrap_or_default(), token.name_any())
}

/// The name of the Secret that a token is, or will be, in.
pub(crate) fn secret_of(token: &AccessToken) -> String {
    dereference::place(token).0
}
