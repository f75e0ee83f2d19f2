//! Makes the Secret of a token be there.

use super::{Token, build::Wanted, validate::Valid};
use crate::{children::version, context::Context, error::ReconcileError, refusal::Refusal};

/// What the status is made of.
pub(super) struct Applied {
    /// The token that is in the Secret now; nothing while there is no broker to make it for.
    pub(super) token: Result<Option<Token>, Refusal>,
}

pub(super) async fn apply(
    wanted: Option<Wanted>,
    valid: Valid,
    context: &Context,
) -> Result<Applied, ReconcileError> {
    let Some(Wanted { secret, token }) = wanted else {
        let token = match valid {
            Valid::Present(present) => Ok(Some(present)),
            Valid::Missing(_) => Ok(None),
            Valid::Refused(refusal) => Err(refusal),
        };
        return Ok(Applied { token });
    };
    let present = version(&context.children.secrets, &secret.metadata);
    context.applier.apply(&secret, present).await?;
    Ok(Applied {
        token: Ok(Some(token)),
    })
}
