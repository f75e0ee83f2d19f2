//! Which token should be in the Secret now: the one that is there, or a new one.

use jiff::Timestamp;
use package_broker_core::domain::token;
use package_broker_crds::AccessToken;
use package_broker_kinds::lifetime::{self, previous_expires_at, whole};

use super::{
    Token,
    dereference::place,
    record::{Previous, Record},
    validate::Valid,
};
use crate::error::ReconcileError;

/// What is in the Secret from now on.
pub(super) struct Issue {
    pub(super) token: Token,
    /// Whether it takes the place of one that could still be used.
    pub(super) is_rotation: bool,
}

/// The token that should be there; nothing if that is not ours to say.
pub(super) fn issue(
    token: &AccessToken,
    valid: &Valid,
    now: Timestamp,
) -> Result<Option<Issue>, ReconcileError> {
    let (made, is_rotation) = match valid {
        Valid::Refused(_) => return Ok(None),
        Valid::Missing(record) => (new(token, record.clone(), now)?, false),
        Valid::Present(present) => match rotated(token, present, now) {
            Some(record) => (new(token, record, now)?, true),
            None => (present.clone(), false),
        },
    };
    Ok(Some(Issue {
        token: kept(token, made, now),
        is_rotation,
    }))
}

/// What is known when another takes the place of a token now; nothing if none does.
fn rotated(token: &AccessToken, present: &Token, now: Timestamp) -> Option<Record> {
    let Record {
        issued_at, handled, ..
    } = &present.record;
    let rotation = lifetime::rotation(token, *issued_at, handled.as_deref(), now)?;
    let valid_until = lifetime::overlap(&token.spec, &rotation, now);
    Some(Record {
        issued_at: None,
        rotated_at: Some(whole(now)),
        handled: handled.clone(),
        previous: valid_until.map(|valid_until| Previous {
            text: present.text.clone(),
            hash: present.hash,
            valid_until,
        }),
    })
}

/// A new token. Whatever was asked for until now is done by that.
fn new(token: &AccessToken, record: Record, now: Timestamp) -> Result<Token, ReconcileError> {
    let text = token::generate()?;
    let hash = token::check(&text)?;
    let (secret, key) = place(token);
    let asked = lifetime::request(token).map(str::to_owned);
    Ok(Token {
        text,
        hash,
        secret,
        key,
        record: Record {
            issued_at: Some(whole(now)),
            handled: asked.or(record.handled),
            ..record
        },
    })
}

/// A token with what is known of it now: one that was just found is as old as that, and one before it whose time is over
/// is not kept.
fn kept(token: &AccessToken, made: Token, now: Timestamp) -> Token {
    let Record {
        issued_at,
        previous,
        ..
    } = made.record;
    let is_valid =
        |previous: &Previous| previous_expires_at(&token.spec, previous.valid_until) > now;
    Token {
        record: Record {
            issued_at: issued_at.or(Some(whole(now))),
            previous: previous.filter(is_valid),
            ..made.record
        },
        ..made
    }
}
