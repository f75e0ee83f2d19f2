//! Tokens of `run`: brought in a Secret, or made here and kept in a ready `auth.json`.

mod kept;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use jiff::Timestamp;
use package_broker_core::{
    domain::{
        permissions::Permissions,
        token::{self, TokenHash},
    },
    ports::database::TokenRecord,
};
use package_broker_crds::AccessToken;
use package_broker_kinds::{
    lifetime::{expires_at, previous_expires_at, previous_name},
    permissions,
};

use self::kept::Previous;
use crate::manifests::Desired;

/// The tokens that manifests declare.
pub(crate) struct Tokens {
    /// The record of each that is taken, and what it allows. Those whose place another took are there, too, as long as
    /// they are valid.
    pub(crate) records: Vec<(TokenRecord, Permissions)>,
    /// When the next of them is replaced, or is no longer kept. What only ends is not among it.
    pub(crate) next: Option<Timestamp>,
}

/// Every declared token that is not suspended. Those without a Secret are read from, or written to, the folder
/// `DATA/tokens/NAME`, where a new one takes their place when it is time.
pub(crate) fn declared(
    desired: &Desired,
    data: &Path,
    external_url: &str,
) -> anyhow::Result<Tokens> {
    let (folder, now) = (data.join("tokens"), Timestamp::now());
    let mut records = Vec::with_capacity(desired.tokens.len());
    let mut hashes: HashMap<TokenHash, String> = HashMap::new();
    let (mut before, mut changes) = (Vec::new(), Vec::new());
    for (resource, brought) in &desired.tokens {
        let name = resource.metadata.name.clone().unwrap_or_default();
        let kept = if brought.is_some() {
            None
        } else {
            let kept = kept::keep(resource, &folder.join(&name), external_url, now)
                .with_context(|| format!("AccessToken \"{name}\""))?;
            let Some(kept) = kept else { continue };
            changes.extend(kept.changes(&resource.spec));
            Some(kept)
        };
        if resource.spec.suspend {
            continue;
        }
        let made = || kept.as_ref().map(|kept| token::check(&kept.text));
        let hash = brought.map(Ok).or_else(made).transpose();
        let hash = hash.with_context(|| format!("AccessToken \"{name}\""))?;
        let Some(hash) = hash else { continue };
        if let Some(other) = hashes.insert(hash, name.clone()) {
            bail!(
                "the AccessTokens \"{other}\" and \"{name}\" have the same token; give each its own"
            );
        }
        let issued_at = kept.as_ref().and_then(|kept| kept.issued_at);
        let end = expires_at(&resource.spec, issued_at);
        records.push(record(resource, name, hash, end)?);
        let previous = kept.and_then(|kept| kept.previous);
        before.extend(previous.map(|previous| (resource, previous)));
    }
    records.extend(previous(desired, before, &mut hashes)?);
    Ok(Tokens {
        records,
        next: changes.into_iter().filter(|change| *change > now).min(),
    })
}

/// The tokens before, under names that nobody has. One that is somebody's token now counts for what that one allows.
fn previous(
    desired: &Desired,
    tokens: Vec<(&AccessToken, Previous)>,
    hashes: &mut HashMap<TokenHash, String>,
) -> anyhow::Result<Vec<(TokenRecord, Permissions)>> {
    let declared = desired.tokens.iter();
    let mut names: BTreeSet<String> = declared
        .filter_map(|(resource, _)| resource.metadata.name.clone())
        .collect();
    let mut records = Vec::new();
    for (resource, previous) in tokens {
        let name = resource.metadata.name.as_deref().unwrap_or_default();
        let name = previous_name(name, |name| names.contains(name));
        let hash = token::check(&previous.text)?;
        if hashes.contains_key(&hash) {
            continue;
        }
        hashes.insert(hash, name.clone());
        names.insert(name.clone());
        let end = previous_expires_at(&resource.spec, previous.valid_until);
        records.push(record(resource, name, hash, Some(end))?);
    }
    Ok(records)
}

/// Removes the files of tokens that are no longer declared. Last of all: until the manifests are in force, they may
/// come back.
pub(crate) fn remove_others(desired: &Desired, data: &Path) -> anyhow::Result<()> {
    let made = desired
        .tokens
        .iter()
        .filter(|(_, brought)| brought.is_none());
    let made: BTreeSet<&str> = made
        .filter_map(|(resource, _)| resource.metadata.name.as_deref())
        .collect();
    let Ok(entries) = fs::read_dir(data.join("tokens")) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !made.contains(name.as_str()) && entry.path().join(kept::AUTH).is_file() {
            kept::remove(&entry.path())?;
        }
    }
    Ok(())
}

fn record(
    resource: &AccessToken,
    name: String,
    hash: TokenHash,
    expires_at: Option<Timestamp>,
) -> anyhow::Result<(TokenRecord, Permissions)> {
    let permissions = permissions(resource);
    let grant = serde_json::to_string(&permissions)?;
    Ok((
        TokenRecord {
            name,
            hash,
            grant,
            expires_at,
        },
        permissions,
    ))
}

/// Where `run` put the token of an `AccessToken`.
pub(crate) fn auth_file(data: &Path, name: &str) -> PathBuf {
    data.join("tokens").join(name).join(kept::AUTH)
}
