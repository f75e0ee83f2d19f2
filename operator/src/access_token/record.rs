//! What a Secret that is made says of its token besides the token itself: since when it is there, and what was before it.
//! It stands in annotations, so that it lives and dies with the token.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use package_broker_core::domain::token::{self, TokenHash};
use package_broker_crds::AccessToken;
use package_broker_kinds::lifetime::whole;
use secrecy::SecretString;

/// The token that the other annotations are about: somebody may have put another one into the Secret since.
const FINGERPRINT: &str = "package.broker/fingerprint";
const ISSUED_AT: &str = "package.broker/issued-at";
const ROTATED_AT: &str = "package.broker/rotated-at";
const PREVIOUS_VALID_UNTIL: &str = "package.broker/previous-valid-until";
const LAST_HANDLED_ROTATE_AT: &str = "package.broker/last-handled-rotate-at";

/// The key of the token before, while that is still valid.
pub(crate) const PREVIOUS: &str = "previous";

/// What is known of a token. Of one that the user brought, nothing is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// When it was made; nothing if it was found in the Secret just now.
    pub(crate) issued_at: Option<Timestamp>,
    /// When it, or one before it, took the place of another.
    pub(crate) rotated_at: Option<Timestamp>,
    /// The request for a new token that was last carried out.
    pub(crate) handled: Option<String>,
    /// The token before, if it is kept.
    pub(crate) previous: Option<Previous>,
}

/// A token whose place another has taken.
#[derive(Clone, Debug)]
pub(crate) struct Previous {
    pub(crate) text: SecretString,
    pub(crate) hash: TokenHash,
    pub(crate) valid_until: Timestamp,
}

/// What a Secret says of the token in it, of which this is the hash; without one, what it says beside it.
pub(super) fn read(token: &AccessToken, secret: &Secret, hash: Option<&TokenHash>) -> Record {
    let status = token.status.as_ref();
    let handled = secret.annotations().get(LAST_HANDLED_ROTATE_AT).cloned();
    Record {
        issued_at: hash.and_then(|hash| issued_at(token, secret, &hash.fingerprint())),
        rotated_at: time(secret, ROTATED_AT),
        handled: handled.or_else(|| status?.last_handled_rotate_at.clone()),
        previous: previous(secret).filter(|previous| Some(&previous.hash) != hash),
    }
}

/// The annotation says it, if it is about this token. Where annotations were lost, the status may still know. A Secret
/// without any is of a release that had none, and as old as its token.
fn issued_at(token: &AccessToken, secret: &Secret, fingerprint: &str) -> Option<Timestamp> {
    let about = secret.annotations().get(FINGERPRINT);
    let is_about = about.is_some_and(|about| about == fingerprint);
    let of_status = || {
        let status = token.status.as_ref()?;
        let is_about = status.fingerprint.as_deref() == Some(fingerprint);
        Some(status.issued_at.as_ref().filter(|_| is_about)?.0)
    };
    let of_secret = || {
        let made = secret.metadata.creation_timestamp.as_ref();
        Some(made.filter(|_| is_about || about.is_none())?.0)
    };
    let of_annotation = time(secret, ISSUED_AT).filter(|_| is_about);
    let found = of_annotation.or_else(of_status).or_else(of_secret);
    found.map(whole)
}

/// The token before, whether or not its time is over: nothing here knows what time it is.
fn previous(secret: &Secret) -> Option<Previous> {
    let valid_until = time(secret, PREVIOUS_VALID_UNTIL)?;
    let value = secret.data.as_ref()?.get(PREVIOUS)?;
    let text = SecretString::from(std::str::from_utf8(&value.0).ok()?);
    let hash = token::check(&text).ok()?;
    Some(Previous {
        text,
        hash,
        valid_until,
    })
}

/// The annotations that say so.
pub(super) fn annotations(record: &Record, hash: &TokenHash) -> BTreeMap<String, String> {
    let text = |time: Timestamp| whole(time).to_string();
    let previous = record.previous.as_ref();
    [
        (FINGERPRINT, Some(hash.fingerprint())),
        (ISSUED_AT, record.issued_at.map(text)),
        (ROTATED_AT, record.rotated_at.map(text)),
        (
            PREVIOUS_VALID_UNTIL,
            previous.map(|previous| text(previous.valid_until)),
        ),
        (LAST_HANDLED_ROTATE_AT, record.handled.clone()),
    ]
    .into_iter()
    .filter_map(|(key, value)| Some((key.to_owned(), value?)))
    .collect()
}

fn time(secret: &Secret, annotation: &str) -> Option<Timestamp> {
    secret.annotations().get(annotation)?.parse().ok()
}
