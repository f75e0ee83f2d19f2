//! Makes the Secret of a token be there.

use std::time::Duration;

use kube::ResourceExt;
use package_broker_crds::AccessToken;

use super::{
    Taken, Token,
    build::Wanted,
    looks::Look,
    validate::{self, Valid},
};
use crate::{children::version, context::Context, error::ReconcileError, refusal::Refusal};

/// What the status is made of.
pub(super) struct Applied {
    /// The token that is in the Secret now; nothing while there is no broker to make it for.
    pub(super) token: Result<Option<Token>, Refusal>,
    /// How long nothing is said of it, as its broker is about to take it.
    pub(super) hold: Option<Duration>,
}

impl Applied {
    /// Of a token that nothing was written for.
    pub(super) fn unwritten(token: Result<Option<Token>, Refusal>) -> Self {
        Self { token, hold: None }
    }
}

pub(super) async fn apply(
    token: &AccessToken,
    wanted: Option<Wanted>,
    valid: Valid,
    context: &Context,
) -> Result<Applied, ReconcileError> {
    let Some(Wanted {
        secret,
        token: made,
    }) = wanted
    else {
        return Ok(Applied::unwritten(match valid {
            Valid::Present(present) => Ok(Some(present)),
            Valid::Missing(_) => Ok(None),
            Valid::Refused(refusal) => Err(refusal),
        }));
    };
    let present = version(&context.children.secrets, &secret.metadata);
    let Some(written) = context.applier.apply(&secret, present).await? else {
        return Ok(Applied::unwritten(Ok(Some(made))));
    };
    // Its broker need not read it to know.
    let look = Look::of(token, written.resource_version());
    let judged = validate::judge(token, Some(&written)).map(Taken::from);
    context.looks.note(token, look, judged);
    Ok(Applied {
        hold: context.holds.hold(token, &made.hash),
        token: Ok(Some(made)),
    })
}
