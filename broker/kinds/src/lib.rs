//! What the three kinds mean to a broker: which core objects they stand for, and what beside their schema has to fit.
//!
//! The program and the operator read the same objects; here is what both do with them, so that a manifest means the same
//! on a laptop and in a cluster.

pub mod administrator;
pub mod auth;
pub mod belonging;
pub mod credentials;
pub mod declared;
pub mod egress;
pub mod lifetime;
mod mapping;
mod pem;
pub mod schedule;
pub mod webhook;

use std::collections::BTreeMap;

use secrecy::SecretSlice;

pub use mapping::{installation, permissions, repository};

/// The decoded data of a Secret by key. `Debug` shows the keys only.
pub type SecretData = BTreeMap<String, SecretSlice<u8>>;

/// The Secrets that a `Repository` names.
#[derive(Clone, Debug, Default)]
pub struct RepositorySecrets {
    /// That of `credentialsSecretRef`.
    pub credentials: Option<SecretData>,
    /// That of `webhook.secretRef`.
    pub webhook: Option<SecretData>,
}
