//! The Secret of a token: ready for `composer`, and for whatever reads `kubernetes.io/basic-auth`.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use package_broker_core::domain::token;
use package_broker_crds::AccessToken;
use package_broker_kinds::auth::{USERNAME, auth_json};
use secrecy::ExposeSecret;

use super::{
    Token,
    dereference::{Found, place},
    validate::Valid,
};
use crate::{
    children::{child_of, labels},
    error::ReconcileError,
    package_broker::build::public_url,
};

/// The key of the token in a Secret that is made here.
pub(super) const PASSWORD: &str = "password";

/// A Secret that should be as it is here, and the token in it.
pub(super) struct Wanted {
    pub(super) secret: Secret,
    pub(super) token: Token,
}

/// The Secret that should exist; nothing if it is the user's own, or cannot be made yet.
pub(super) fn build(
    token: &AccessToken,
    found: &Found,
    valid: &Valid,
) -> Result<Option<Wanted>, ReconcileError> {
    let Some(broker) = found
        .broker
        .as_ref()
        .filter(|_| token.spec.existing_secret_ref.is_none())
    else {
        return Ok(None);
    };
    let made = match valid {
        Valid::Present(present) => present.clone(),
        Valid::Missing => new(token)?,
        Valid::Refused(_) => return Ok(None),
    };
    let labels = labels(token.spec.broker_ref.name.as_str());
    let data = [
        ("username", USERNAME.as_bytes().to_vec()),
        (PASSWORD, made.text.expose_secret().as_bytes().to_vec()),
        (
            "auth.json",
            auth_json(&made.text, &public_url(broker))
                .to_string()
                .into_bytes(),
        ),
    ];
    let data = data.map(|(key, value)| (key.to_owned(), ByteString(value)));
    let secret = Secret {
        metadata: child_of(token, &made.secret, labels),
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        data: Some(BTreeMap::from(data)),
        ..Secret::default()
    };
    Ok(Some(Wanted {
        secret,
        token: made,
    }))
}

fn new(token: &AccessToken) -> Result<Token, ReconcileError> {
    let text = token::generate()?;
    let hash = token::check(&text)?;
    let (secret, key) = place(token);
    Ok(Token {
        text,
        hash,
        secret,
        key,
    })
}
