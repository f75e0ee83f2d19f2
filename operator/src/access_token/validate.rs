//! Whether the token in a Secret can be used. Pure: no client.

use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use package_broker_core::domain::token;
use package_broker_crds::{AccessToken, Reason, validation::check_metadata};
use secrecy::SecretString;
use serde_json::json;

use super::{
    Token,
    dereference::{Found, place},
    owner,
    record::{self, Record},
};
use crate::refusal::Refusal;

/// What is to be done about the Secret.
pub(super) enum Valid {
    /// It holds the token; a Secret of ours is written as it should be.
    Present(Token),
    /// It is ours to make, and holds none that can be used; what it says beside that.
    Missing(Record),
    /// It cannot be used, and is not ours to mend.
    Refused(Refusal),
}

/// Judges what was found.
pub(super) fn validate(token: &AccessToken, found: &Found) -> Valid {
    let is_made = token.spec.existing_secret_ref.is_none();
    let makeable = found.admitted.clone();
    let makeable = makeable.and_then(|()| owned(token, found.secret.as_ref()));
    let makeable = makeable.and_then(|()| template(token));
    if let Err(refusal) = makeable {
        return Valid::Refused(refusal);
    }
    match present(token, found.secret.as_ref()).and_then(|present| alone(token, found, present)) {
        Ok(present) => Valid::Present(present),
        Err(refusal) if refusal.reason == Reason::Conflict => Valid::Refused(refusal),
        Err(_) if is_made => {
            let secret = found.secret.as_ref();
            let record = secret.map(|secret| record::read(token, secret, None));
            Valid::Missing(record.unwrap_or_default())
        }
        Err(refusal) => Valid::Refused(refusal),
    }
}

/// Judges a token for its broker, by its Secret alone: that is the one thing that counts, and what others have is judged
/// there.
///
/// # Errors
/// Why the broker does not get it, or not yet.
pub(super) fn judge(token: &AccessToken, secret: Option<&Secret>) -> Result<Token, Refusal> {
    owned(token, secret)?;
    let present = present(token, secret)?;
    if token.spec.ttl.is_some() && present.record.issued_at.is_none() {
        // Somebody put it there just now. That it does not go without an end, it waits until the Secret says since when.
        let message = "the token in the Secret is being looked at";
        return Err(Refusal::new(Reason::Progressing, message));
    }
    Ok(present)
}

/// Checks that a Secret that is made here is not somebody else's.
fn owned(token: &AccessToken, secret: Option<&Secret>) -> Result<(), Refusal> {
    match secret {
        Some(secret) if token.spec.existing_secret_ref.is_none() => owner::check(token, secret),
        _ => Ok(()),
    }
}

/// Checks the keys of labels and annotations, as the API server would. It could only say that it does not take them, and
/// rules of the schema cannot: they would count as too much work, because keys have no bound there.
fn template(token: &AccessToken) -> Result<(), Refusal> {
    let secret = token.spec.secret.as_ref();
    let Some(template) = secret.map(|secret| &secret.template) else {
        return Ok(());
    };
    let document = json!({"metadata": template});
    let Some(mistake) = check_metadata(&document).into_iter().next() else {
        return Ok(());
    };
    let path = mistake.path.to_string();
    let field = path.strip_prefix("metadata").unwrap_or(&path);
    Err(Refusal::new(
        Reason::InvalidSpec,
        format!(
            "spec.secret.template{field}: {}; {}",
            mistake.message, mistake.fix
        ),
    ))
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

/// What the token in a Secret is told from others by, if there is one that can be used.
pub(super) fn fingerprint(token: &AccessToken, secret: Option<&Secret>) -> Option<String> {
    let present = present(token, secret).ok()?;
    Some(present.hash.fingerprint())
}

/// The token in the Secret.
///
/// # Errors
/// Why there is none that can be used.
fn present(token: &AccessToken, secret: Option<&Secret>) -> Result<Token, Refusal> {
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
        Ok(hash) => {
            let is_made = token.spec.existing_secret_ref.is_none();
            let record = is_made.then(|| record::read(token, secret, Some(&hash)));
            Ok(Token {
                text,
                hash,
                secret: name,
                key,
                record: record.unwrap_or_default(),
            })
        }
        Err(error) => {
            let message = format!(
                "spec.existingSecretRef.key: Secret \"{name}\", key \"{key}\": {error}; put another token into the Secret"
            );
            Err(Refusal::new(Reason::InvalidSecret, message))
        }
    }
}
