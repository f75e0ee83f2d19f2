//! The folder of a token that is made here: `auth.json`, ready for Composer, and `token.json`, which says since when there
//! is the token and what was before it.
//!
//! A token that is replaced is first of all replaced in `token.json`. There it says whose place it takes, so that a crash
//! before `auth.json` is written is seen: whatever else stands there, somebody put there, and it is taken over.

use std::{fs, io::ErrorKind, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use anyhow::Context;
use jiff::Timestamp;
use package_broker_core::domain::token::{self, TokenHash};
use package_broker_crds::{AccessToken, AccessTokenSpec};
use package_broker_kinds::{
    auth,
    lifetime::{self, previous_expires_at, rotates_at, whole},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::drivers::make_private_folder;

/// What `composer` reads.
pub(super) const AUTH: &str = "auth.json";
/// What is known of the token in it.
const TOKEN: &str = "token.json";

/// A token that can be used.
pub(super) struct Kept {
    pub(super) text: SecretString,
    /// When it was made, or first seen; nothing for one that was brought.
    pub(super) issued_at: Option<Timestamp>,
    pub(super) previous: Option<Previous>,
}

/// The token before, while it is valid.
pub(super) struct Previous {
    pub(super) text: SecretString,
    pub(super) valid_until: Timestamp,
}

impl Kept {
    /// When it is to be looked at again.
    pub(super) fn changes(&self, spec: &AccessTokenSpec) -> impl Iterator<Item = Timestamp> {
        let previous = self.previous.as_ref();
        let until = previous.map(|previous| previous_expires_at(spec, previous.valid_until));
        rotates_at(spec, self.issued_at).into_iter().chain(until)
    }
}

/// `token.json`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Stored {
    token: String,
    issued_at: Timestamp,
    /// The SHA-256 of the token that stands in `auth.json` until this one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaces: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<StoredPrevious>,
    /// The request for a new token that was last carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_handled_rotate_at: Option<String>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct StoredPrevious {
    token: String,
    valid_until: Timestamp,
}

/// The token in a folder as it should be now: the one that is there, or a new one. Both files are written, `auth.json` for
/// the present URL. One that is suspended before there is a token has none.
pub(super) fn keep(
    resource: &AccessToken,
    folder: &Path,
    external_url: &str,
    now: Timestamp,
) -> anyhow::Result<Option<Kept>> {
    let file = folder.join(AUTH);
    let (auth, stored) = (read_auth(&file)?, read_stored(&folder.join(TOKEN))?);
    if auth.is_none() && resource.spec.suspend {
        return Ok(None);
    }
    let is_new = auth.is_none();
    let found = auth.map(|auth| agreed(&auth, stored, now));
    let (stored, is_rotated) = match found {
        None => (new(resource, now)?, false),
        Some(found) => match rotated(resource, &found, now)? {
            Some(rotated) => (rotated, true),
            None => (found, false),
        },
    };
    let stored = without_what_is_over(resource, stored, now);
    make_private_folder(folder)?;
    write_stored(&folder.join(TOKEN), &stored)?;
    let text = SecretString::from(stored.token);
    write(&file, &auth_json(&text, external_url))
        .with_context(|| format!("{} cannot be written", file.display()))?;
    if is_new {
        tracing::info!(file = %file.display(), "a token was made; its auth.json is ready for composer");
    } else if is_rotated {
        let until = stored
            .previous
            .as_ref()
            .map(|previous| previous.valid_until);
        let until = until.map_or_else(
            || "not valid any more".to_owned(),
            |until| format!("valid until {until}"),
        );
        tracing::info!(file = %file.display(), before = until, "a new token took the place of the one before");
    }
    let previous = stored.previous.map(|previous| Previous {
        text: previous.token.into(),
        valid_until: previous.valid_until,
    });
    Ok(Some(Kept {
        text,
        issued_at: Some(stored.issued_at),
        previous,
    }))
}

/// What is known of the token that stands in `auth.json`. Its `token.json` may be about another one: the next, if a change
/// was interrupted, or the last, if somebody put another one there.
fn agreed(auth: &SecretString, stored: Option<Stored>, now: Timestamp) -> Stored {
    let text = auth.expose_secret();
    match stored {
        Some(stored) if stored.token == *text => Stored {
            replaces: None,
            ..stored
        },
        Some(stored) if stored.replaces == Some(digest(text)) => stored,
        other => {
            let previous = other.as_ref().and_then(|other| other.previous.clone());
            Stored {
                token: text.to_owned(),
                issued_at: whole(now),
                replaces: None,
                previous: previous.filter(|previous| previous.token != *text),
                last_handled_rotate_at: other.and_then(|other| other.last_handled_rotate_at),
            }
        }
    }
}

fn new(resource: &AccessToken, now: Timestamp) -> anyhow::Result<Stored> {
    Ok(Stored {
        token: token::generate()?.expose_secret().to_owned(),
        issued_at: whole(now),
        replaces: None,
        previous: None,
        // The first one is new enough for whatever was asked until now.
        last_handled_rotate_at: lifetime::request(resource).map(str::to_owned),
    })
}

/// The token that takes the place of this one now; nothing if none does.
fn rotated(
    resource: &AccessToken,
    found: &Stored,
    now: Timestamp,
) -> anyhow::Result<Option<Stored>> {
    let handled = found.last_handled_rotate_at.as_deref();
    let Some(rotation) = lifetime::rotation(resource, Some(found.issued_at), handled, now) else {
        return Ok(None);
    };
    let until = lifetime::overlap(&resource.spec, &rotation, now);
    let next = new(resource, now)?;
    Ok(Some(Stored {
        replaces: Some(digest(&found.token)),
        previous: until.map(|valid_until| StoredPrevious {
            token: found.token.clone(),
            valid_until,
        }),
        last_handled_rotate_at: next
            .last_handled_rotate_at
            .or_else(|| found.last_handled_rotate_at.clone()),
        ..next
    }))
}

fn without_what_is_over(resource: &AccessToken, stored: Stored, now: Timestamp) -> Stored {
    let is_valid = |previous: &StoredPrevious| {
        previous_expires_at(&resource.spec, previous.valid_until) > now
            && token::check(&previous.token.clone().into()).is_ok()
    };
    Stored {
        previous: stored.previous.filter(is_valid),
        ..stored
    }
}

fn digest(token: &str) -> String {
    hex::encode(TokenHash::of(token).0)
}

/// Removes a token with all that is known of it. `auth.json` goes last: while it is there, the rest is looked for again.
pub(super) fn remove(folder: &Path) -> anyhow::Result<()> {
    for name in [TOKEN, AUTH] {
        let file = folder.join(name);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be removed", file.display()));
            }
            _ => {}
        }
    }
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// The token in an `auth.json`, if there is one.
fn read_auth(file: &Path) -> anyhow::Result<Option<SecretString>> {
    let Some(bytes) = read(file)? else {
        return Ok(None);
    };
    let token = token_in(&bytes).with_context(|| {
        format!(
            "{} holds no token of ours; mend it, or delete it to have a new one made",
            file.display()
        )
    })?;
    Ok(Some(token))
}

fn read_stored(file: &Path) -> anyhow::Result<Option<Stored>> {
    let Some(bytes) = read(file)? else {
        return Ok(None);
    };
    // The error of the parser would repeat what stands there.
    let stored = serde_json::from_slice(&bytes).ok().with_context(|| {
        format!(
            "{} is damaged; delete it, and the token in {AUTH} counts as new",
            file.display()
        )
    })?;
    Ok(Some(stored))
}

fn read(file: &Path) -> anyhow::Result<Option<Vec<u8>>> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", file.display())),
    }
}

fn token_in(auth_json: &[u8]) -> Option<SecretString> {
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

fn write_stored(file: &Path, stored: &Stored) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(stored)?;
    text.push(b'\n');
    write(file, &text).with_context(|| format!("{} cannot be written", file.display()))
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

#[cfg(test)]
mod tests;
