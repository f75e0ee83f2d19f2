//! The Secret of the first administrator: made once where the spec names none, never overwritten.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;
use package_broker_crds::PackageBroker;
use package_broker_kinds::{SecretData, administrator::KEYS};
use secrecy::{ExposeSecret, SecretSlice};

use super::{BuildError, named};
use crate::{
    children::{child_of, labels},
    package_broker::validate::Valid,
};

/// What it is called after its broker.
const ADMIN: &str = "admin";
/// The user's name.
const NAME: &str = "admin";
/// Random bytes of a password, which has twice as many characters.
const RANDOM: usize = 20;

/// The name of the Secret.
pub(crate) fn secret_of(broker: &PackageBroker) -> String {
    let named_in_spec = broker.spec.administrator.as_ref();
    named_in_spec.map_or_else(
        || named(broker, ADMIN),
        |named| named.secret_ref.name.as_str().to_owned(),
    )
}

/// A new Secret, if there is none yet; `valid` has what is in it from then on.
///
/// # Errors
/// Without random numbers.
pub(crate) fn complete(
    broker: &PackageBroker,
    valid: &mut Valid,
) -> Result<Option<Secret>, BuildError> {
    if valid.administrator.is_some() {
        return Ok(None);
    }
    let mut random = [0; RANDOM];
    getrandom::fill(&mut random).map_err(|error| BuildError::Random(error.to_string()))?;
    let texts = [NAME.to_owned(), hex::encode(random)];
    let pairs = KEYS.map(str::to_owned).into_iter().zip(texts);
    let data: SecretData = pairs
        .map(|(key, text)| (key, SecretSlice::from(text.into_bytes())))
        .collect();
    let secret = build(broker, &data);
    valid.administrator = Some(data);
    Ok(Some(secret))
}

/// It goes with its broker, and so does what it is for.
fn build(broker: &PackageBroker, data: &SecretData) -> Secret {
    let bytes = |value: &SecretSlice<u8>| ByteString(value.expose_secret().to_vec());
    Secret {
        metadata: child_of(broker, &secret_of(broker), labels(&broker.name_any())),
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        data: Some(
            data.iter()
                .map(|(key, value)| (key.clone(), bytes(value)))
                .collect::<BTreeMap<_, _>>(),
        ),
        ..Secret::default()
    }
}
