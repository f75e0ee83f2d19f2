//! Whether the token in a Secret can be used. Pure: no client.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use package_broker_core::domain::token;
use package_broker_crds::{AccessToken, Reason};
use secrecy::SecretString;

use super::{
    Token,
    dereference::{Found, place},
};
use crate::{children::is_child, refusal::Refusal};

/// What is to be done about the Secret.
pub(super) enum Valid {
    /// It holds the token; a Secret of ours is written as it should be.
    Present(Token),
    /// It is ours to make, and holds none that can be used.
    Missing,
    /// It cannot be used, and is not ours to mend.
    Refused(Refusal),
}

/// Judges what was found.
pub(super) fn validate(token: &AccessToken, found: &Found) -> Valid {
    let is_made = token.spec.existing_secret_ref.is_none();
    if is_made
        && let Some(secret) = &found.secret
        && !is_child(secret.metadata.owner_references.as_ref(), token)
    {
        let name = secret.name_any();
        return Valid::Refused(Refusal::new(
            Reason::Conflict,
            format!(
                "there is a Secret \"{name}\" that is not of this AccessToken; delete it, or choose another name in spec.secret.name"
            ),
        ));
    }
    match present(token, found.secret.as_ref()).and_then(|present| alone(token, found, present)) {
        Ok(present) => Valid::Present(present),
        Err(refusal) if refusal.reason == Reason::Conflict => Valid::Refused(refusal),
        Err(_) if is_made => Valid::Missing,
        Err(refusal) => Valid::Refused(refusal),
    }
}

/// The token, if no other object has it: it would count for what the older one allows.
fn alone(token: &AccessToken, found: &Found, present: Token) -> Result<Token, Refusal> {
    let fingerprint = present.hash.fingerprint();
    let age = |token: &AccessToken| (token.metadata.creation_timestamp.clone(), token.name_any());
    let older = found.others.iter().find(|other| {
        let status = other.status.as_ref();
        status.and_then(|status| status.fingerprint.as_ref()) == Some(&fingerprint)
            && age(other) < age(token)
    });
    match older {
        None => Ok(present),
        Some(older) => Err(Refusal::new(
            Reason::Conflict,
            format!(
                "AccessToken \"{}\" has the same token; give each AccessToken a token of its own",
                older.name_any()
            ),
        )),
    }
}

/// The token in the Secret.
///
/// # Errors
/// Why there is none that can be used.
pub(super) fn present(token: &AccessToken, secret: Option<&Secret>) -> Result<Token, Refusal> {
    let (name, key) = place(token);
    let namespace = token.namespace().unwrap_or_default();
    let Some(secret) = secret else {
        let field = "spec.existingSecretRef.name";
        return Err(Refusal::no_secret(field, &namespace, &name));
    };
    let data = secret.data.as_ref();
    let Some(value) = data.and_then(|data| data.get(&key)) else {
        let keys: Vec<&str> = data
            .into_iter()
            .flatten()
            .map(|(key, _)| key.as_str())
            .collect();
        let message = format!(
            "spec.existingSecretRef.key: Secret \"{name}\" has no key \"{key}\"; add it, or name one of: {}",
            keys.join(", ")
        );
        return Err(Refusal::new(Reason::InvalidSecret, message));
    };
    let text = std::str::from_utf8(&value.0).unwrap_or_default();
    let text = SecretString::from(text.trim_end_matches(['\r', '\n']));
    match token::check(&text) {
        Ok(hash) => Ok(Token {
            text,
            hash,
            secret: name,
            key,
        }),
        Err(error) => {
            let message = format!(
                "spec.existingSecretRef.key: Secret \"{name}\", key \"{key}\": {error}; put another token into the Secret"
            );
            Err(Refusal::new(Reason::InvalidSecret, message))
        }
    }
}
