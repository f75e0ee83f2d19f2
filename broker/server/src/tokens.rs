//! Tokens of `run`: brought in a Secret, or made here and kept in a ready `auth.json`.

use std::{
    collections::{BTreeSet, HashMap},
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use package_broker_core::{
    domain::{
        permissions::Permissions,
        token::{self, TokenHash},
    },
    ports::database::TokenRecord,
};
use package_broker_crds::AccessToken;
use package_broker_kinds::{auth, permissions};
use secrecy::SecretString;

use crate::{drivers::make_private_folder, manifests::Desired};

/// The record of every declared token that is not suspended, and what it allows. Tokens without a Secret are read from, or written to,
/// `DATA/tokens/NAME/auth.json`.
pub(crate) fn declared(
    desired: &Desired,
    data: &Path,
    external_url: &str,
) -> anyhow::Result<Vec<(TokenRecord, Permissions)>> {
    let folder = data.join("tokens");
    let mut records = Vec::with_capacity(desired.tokens.len());
    let mut names: HashMap<TokenHash, String> = HashMap::new();
    let valid = desired.tokens.iter();
    for (resource, brought) in valid.filter(|(resource, _)| !resource.spec.suspend) {
        let name = resource.metadata.name.clone().unwrap_or_default();
        let secret = match brought {
            Some(secret) => secret.clone(),
            None => kept_or_made(&folder.join(&name), external_url)
                .with_context(|| format!("AccessToken \"{name}\""))?,
        };
        let (record, scope) = record(resource, name.clone(), &secret)?;
        if let Some(other) = names.insert(record.hash, name.clone()) {
            bail!(
                "the AccessTokens \"{other}\" and \"{name}\" have the same token; give each its own"
            );
        }
        records.push((record, scope));
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
        let file = entry.path().join("auth.json");
        if !made.contains(name.as_str()) && file.is_file() {
            fs::remove_file(&file)
                .with_context(|| format!("{} cannot be removed", file.display()))?;
            let _ = fs::remove_dir(entry.path());
        }
    }
    Ok(())
}

fn record(
    resource: &AccessToken,
    name: String,
    secret: &SecretString,
) -> anyhow::Result<(TokenRecord, Permissions)> {
    let hash = token::check(secret).with_context(|| format!("AccessToken \"{name}\""))?;
    let permissions = permissions(resource);
    let expires_at = resource.spec.expires_at.as_ref().map(|time| time.0);
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

/// The token in a folder's `auth.json`; a new one if there is none. The file is written for the present URL.
fn kept_or_made(folder: &Path, external_url: &str) -> anyhow::Result<SecretString> {
    let file = folder.join("auth.json");
    let kept = match fs::read(&file) {
        Ok(bytes) => Some(read(&bytes).with_context(|| {
            format!(
                "{} holds no token of ours; mend it, or delete it to have a new one made",
                file.display()
            )
        })?),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => {
            return Err(error).with_context(|| format!("{} cannot be read", file.display()));
        }
    };
    let is_new = kept.is_none();
    let token = match kept {
        Some(token) => token,
        None => token::generate()?,
    };
    make_private_folder(folder)?;
    write(&file, &auth_json(&token, external_url))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    if is_new {
        tracing::info!(file = %file.display(), "a token was made; its auth.json is ready for composer");
    }
    Ok(token)
}

fn read(auth_json: &[u8]) -> Option<SecretString> {
    let document: serde_json::Value = serde_json::from_slice(auth_json).ok()?;
    let (_, credentials) = document.get("http-basic")?.as_object()?.iter().next()?;
    let token = SecretString::from(credentials.get("password")?.as_str()?.to_owned());
    token::check(&token).is_ok().then_some(token)
}

/// The file that `composer` reads.
fn auth_json(token: &SecretString, external_url: &str) -> Vec<u8> {
    let document = auth::auth_json(token, external_url);
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Replaces a file as a whole, readable by its owner only.
fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if fs::read(file).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    let temporary = file.with_extension("json.new");
    let _ = fs::remove_file(&temporary);
    let mut new = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    new.write_all(bytes)?;
    new.sync_all()?;
    fs::rename(&temporary, file)
}

/// Where `run` put the token of an `AccessToken`.
pub(crate) fn auth_file(data: &Path, name: &str) -> PathBuf {
    data.join("tokens").join(name).join("auth.json")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_made_token_is_kept_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = kept_or_made(folder.path(), "http://127.0.0.1:8080").unwrap();
        let again = kept_or_made(folder.path(), "https://packages.example.com/r").unwrap();
        assert_eq!(first.expose_secret(), again.expose_secret());
        let file = folder.path().join("auth.json");
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.contains("\"packages.example.com\""), "{text}");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }

    #[test]
    fn a_damaged_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("auth.json"), "{}").unwrap();
        let error = kept_or_made(folder.path(), "http://h").unwrap_err();
        assert!(
            error.to_string().contains("holds no token of ours"),
            "{error}"
        );
    }
}
