//! The rows of a broker's database: made to be what its resources say.

use std::collections::BTreeMap;

use kube::ResourceExt;
use package_broker_core::{
    domain::{
        declared::{pack, write_settings},
        keyring::KeyRing,
        permissions::Permissions,
        repository::Repository,
    },
    ports::database::TokenRecord,
};
use package_broker_crds::PackageBroker;
use package_broker_kinds::{SecretData, administrator, permissions};
use secrecy::ExposeSecret;

use super::{
    build::{BuildError, without_cluster},
    validate::Valid,
};
use crate::{
    access_token::credentials,
    context::Context,
    database::{Access, RepositoryState, Schema, Wanted, digest},
    error::ReconcileError,
    runtime::{
        failpoint::reach,
        live::{LiveToken, named},
    },
};

/// What became of them.
#[derive(Debug)]
pub(super) enum Rows {
    /// They are as they should be.
    Declared,
    /// There are no tables.
    NoTables,
    /// The tables are of a release before this one.
    OldTables,
    /// The database did not do it.
    Failed(String),
}

/// Declares everything that is valid.
pub(super) async fn declare(
    broker: &PackageBroker,
    valid: &Valid,
    (access, keys): (&Access, &KeyRing),
    context: &Context,
) -> Result<Rows, ReconcileError> {
    let key = (broker.namespace().unwrap_or_default(), broker.name_any());
    let (syncs, (namespace, name)) = (context.look_at_syncs.clone(), key.clone());
    let asked = move || syncs.look_at(&name, &namespace);
    let opened = match context.databases.open(&key, access, keys, asked) {
        Ok(opened) => opened,
        Err(error) => return Ok(Rows::Failed(error.to_string())),
    };
    match opened.schema().await {
        Ok(Schema::Usable) => {}
        Ok(Schema::Missing) => return Ok(Rows::NoTables),
        Ok(Schema::Older) => return Ok(Rows::OldTables),
        Err(error) => return Ok(Rows::Failed(error.to_string())),
    }
    let wanted = wanted(broker, valid)?;
    let tokens = tokens_in(valid);
    match opened.declare(wanted).await {
        Ok(changed) => {
            if changed {
                reach("broker.rows-declared");
                tracing::info!(namespace = key.0, name = key.1, "declared in the database");
            }
            context.note_live(broker, |live| live.access_tokens = named(tokens));
            context.look_at_syncs.look_at(&key.1, &key.0);
            Ok(Rows::Declared)
        }
        Err(error) => Ok(Rows::Failed(error.to_string())),
    }
}

/// The tokens that are valid from now on, in the words of a broker.
fn tokens_in(valid: &Valid) -> Vec<LiveToken> {
    let tokens = valid.tokens.iter();
    tokens
        .map(|(resource, token)| LiveToken {
            name: resource.name_any(),
            generation: resource.metadata.generation,
            fingerprint: token.hash.fingerprint(),
        })
        .collect()
}

fn wanted(broker: &PackageBroker, valid: &Valid) -> Result<Wanted, ReconcileError> {
    let broker = without_cluster(broker)?;
    let mut repositories = Vec::with_capacity(valid.repositories.len());
    let mut states = BTreeMap::new();
    for (resource, secrets) in &valid.repositories {
        repositories.push(package_broker_kinds::repository(resource, secrets));
        let name = resource.name_any();
        let state = RepositoryState {
            generation: resource.metadata.generation,
            credentials: valid.versions.get(&name).cloned(),
        };
        states.insert(name, state);
    }
    let mut tokens = Vec::with_capacity(valid.tokens.len());
    for credential in credentials(&valid.tokens) {
        let permissions = permissions(credential.of);
        let record = TokenRecord {
            name: credential.name,
            hash: credential.hash,
            grant: serde_json::to_string(&permissions).map_err(BuildError::from)?,
            expires_at: credential.expires_at,
        };
        tokens.push((record, permissions));
    }
    let administrator = valid.administrator.as_ref();
    let digest = digest([
        digest_of(&broker, &repositories, &tokens, &states)?.as_slice(),
        digest_of_secret(administrator).as_slice(),
    ]);
    Ok(Wanted {
        broker,
        repositories,
        tokens,
        administrator: administrator.and_then(administrator::read),
        digest,
        states,
    })
}

fn digest_of_secret(data: Option<&SecretData>) -> [u8; 32] {
    let pairs = data.into_iter().flatten();
    digest(pairs.flat_map(|(key, value)| [key.as_bytes(), value.expose_secret()]))
}

fn digest_of(
    broker: &PackageBroker,
    repositories: &[Repository],
    tokens: &[(TokenRecord, Permissions)],
    states: &BTreeMap<String, RepositoryState>,
) -> Result<[u8; 32], ReconcileError> {
    let spec = serde_json::to_vec(&broker.spec).map_err(BuildError::from)?;
    let mut parts = vec![spec, format!("{states:?}").into_bytes()];
    for repository in repositories {
        parts.push(repository.name.as_str().as_bytes().to_vec());
        parts.push(write_settings(repository)?.into_bytes());
        parts.push(digest([pack(repository).unwrap_or_default().as_slice()]).to_vec());
    }
    for (token, _) in tokens {
        let end = token.expires_at.map(|end| end.to_string());
        parts.push(token.name.as_bytes().to_vec());
        parts.push(token.hash.0.to_vec());
        parts.push(token.grant.as_bytes().to_vec());
        parts.push(end.unwrap_or_default().into_bytes());
    }
    Ok(digest(parts.iter().map(Vec::as_slice)))
}
