//! Declared repositories as the database keeps them: settings as JSON text, secrets packed to be sealed.
//!
//! The text has a form, a number that says how to read it. A release reads the forms it knows. A field that it does not
//! know is an error: to go on without it could mean to take packages that a newer release was told to leave out.

use std::{collections::BTreeMap, time::Duration};

use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    cadence::Cadence,
    names::RepositoryName,
    patterns::{NameFilter, NamePattern},
    repository::{BucketAccess, Credentials, Repository, SourceKind, SyncMode},
    schedule::Schedule,
    selection::{RefPattern, VersionFilter},
    webhook::WebhookSecret,
};

/// How settings are written.
const SETTINGS_FORM: u32 = 1;

/// How credentials are packed.
const CREDENTIALS_FORM: u8 = 1;

/// The key that the secret of a webhook is packed under. No Secret has such a key; releases that do not know it take it for
/// one that is somebody else's.
const WEBHOOK_KEY: &str = "webhook:secret";

/// Stored settings cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// Of a form that came later.
    #[error(
        "its settings are of form {0}, and this release reads form {SETTINGS_FORM}; use the release that wrote them, \
         or declare the repository again"
    )]
    Form(u32),
    /// Damaged, or with fields that came later.
    #[error(
        "its settings cannot be read: {0}; use the release that wrote them, or declare the repository again"
    )]
    Unreadable(String),
}

/// Opened credentials are not what was packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "its credentials are packed in a form that this release does not know; use the release that sealed them, or set \
     the credentials again"
)]
pub struct PackingError;

/// All of a [`Repository`] but its name and its credentials.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Settings {
    form: u32,
    kind: SourceKind,
    url: String,
    priority: i32,
    packages: Packages,
    /// Left out as a rule: releases that do not know it refuse it, and do not serve what it leaves out.
    #[serde(default, skip_serializing_if = "VersionFilter::is_all")]
    versions: VersionFilter,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<SyncMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    interval: Option<Duration>,
    /// In place of `interval`. Releases that do not know it refuse it, and do not sync at an interval of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<Schedule>,
    timeout: Duration,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// As `versions`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refs: Vec<RefPattern>,
    bucket: Bucket,
    public: bool,
    /// Left out as a rule: releases that do not know it read all others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    suspended: bool,
    /// The same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    retained: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packages {
    include: Vec<NamePattern>,
    exclude: Vec<NamePattern>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Bucket {
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    region: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_style: Option<bool>,
}

/// What is read before anything else.
#[derive(Deserialize)]
struct Form {
    form: u32,
}

/// The settings of a repository as text.
///
/// # Errors
/// [`SettingsError::Unreadable`] if they cannot be written as JSON.
pub fn write_settings(repository: &Repository) -> Result<String, SettingsError> {
    let Repository {
        name: _,
        kind,
        url,
        priority,
        filter,
        versions,
        mode,
        cadence,
        timeout,
        path,
        refs,
        bucket,
        credentials: _,
        webhook: _,
        public,
        suspended,
        retained,
    } = repository;
    let (interval, schedule) = match cadence {
        Cadence::Every(interval) => (Some(*interval), None),
        Cadence::At(schedule) => (None, Some(schedule.clone())),
    };
    let settings = Settings {
        form: SETTINGS_FORM,
        kind: *kind,
        url: url.clone(),
        priority: *priority,
        packages: Packages {
            include: filter.include.clone(),
            exclude: filter.exclude.clone(),
        },
        versions: *versions,
        mode: *mode,
        interval,
        schedule,
        timeout: *timeout,
        path: path.clone(),
        refs: refs.clone(),
        bucket: Bucket {
            endpoint: bucket.endpoint.clone(),
            region: bucket.region.clone(),
            path_style: bucket.path_style,
        },
        public: *public,
        suspended: *suspended,
        retained: *retained,
    };
    serde_json::to_string(&settings).map_err(unreadable)
}

/// The repository of these settings and secrets.
///
/// # Errors
/// [`SettingsError`] if the settings were written by a newer release, or are damaged.
pub fn read_settings(
    name: RepositoryName,
    settings: &str,
    secrets: Secrets,
) -> Result<Repository, SettingsError> {
    let Form { form } = serde_json::from_str(settings).map_err(unreadable)?;
    if form != SETTINGS_FORM {
        return Err(SettingsError::Form(form));
    }
    let settings: Settings = serde_json::from_str(settings).map_err(unreadable)?;
    let cadence = match (settings.interval, settings.schedule) {
        (Some(interval), None) => Cadence::Every(interval),
        (None, Some(schedule)) => Cadence::At(schedule),
        (None, None) | (Some(_), Some(_)) => {
            let problem = "neither or both of interval and schedule are set";
            return Err(SettingsError::Unreadable(problem.to_owned()));
        }
    };
    Ok(Repository {
        name,
        kind: settings.kind,
        url: settings.url,
        priority: settings.priority,
        filter: NameFilter {
            include: settings.packages.include,
            exclude: settings.packages.exclude,
        },
        versions: settings.versions,
        mode: settings.mode,
        cadence,
        timeout: settings.timeout,
        path: settings.path,
        refs: settings.refs,
        bucket: BucketAccess {
            endpoint: settings.bucket.endpoint,
            region: settings.bucket.region,
            path_style: settings.bucket.path_style,
        },
        credentials: secrets.credentials,
        webhook: secrets.webhook,
        public: settings.public,
        suspended: settings.suspended,
        retained: settings.retained,
    })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: serde_json::Error) -> SettingsError {
    SettingsError::Unreadable(error.to_string())
}

/// What is secret about a repository.
#[derive(Clone, Debug, Default)]
pub struct Secrets {
    /// What its source is asked with.
    pub credentials: Credentials,
    /// What calls of its host are proven with.
    pub webhook: Option<WebhookSecret>,
}

/// The secrets of a repository as the text to seal: the form, then each key and value, each after its length in 8 bytes.
/// Nothing if it has none.
pub fn pack(repository: &Repository) -> Option<Zeroizing<Vec<u8>>> {
    let (credentials, webhook) = (&repository.credentials, repository.webhook.as_ref());
    if credentials.is_empty() && webhook.is_none() {
        return None;
    }
    let webhook = webhook.map(|secret| (WEBHOOK_KEY, secret.text()));
    let parts = || {
        credentials
            .entries()
            .chain(webhook)
            .flat_map(|(key, value)| [key.as_bytes(), value.expose_secret()])
    };
    // Room for all of it: grown on the way, it would leave copies of secrets behind.
    let length = 1 + parts().map(|part| 8 + part.len()).sum::<usize>();
    let mut packed = Zeroizing::new(Vec::with_capacity(length));
    packed.push(CREDENTIALS_FORM);
    for part in parts() {
        packed.extend((part.len() as u64).to_be_bytes());
        packed.extend(part);
    }
    Some(packed)
}

/// The secrets that were packed.
///
/// # Errors
/// [`PackingError`] if that is not what it is.
pub fn unpack(packed: &[u8]) -> Result<Secrets, PackingError> {
    let mut rest = packed
        .strip_prefix(&[CREDENTIALS_FORM])
        .ok_or(PackingError)?;
    let (mut data, mut webhook) = (BTreeMap::new(), None);
    while !rest.is_empty() {
        let (key, after) = part(rest)?;
        let (value, after) = part(after)?;
        let key = std::str::from_utf8(key).map_err(|_| PackingError)?;
        if key == WEBHOOK_KEY {
            webhook = Some(WebhookSecret::new(value));
        } else {
            data.insert(key.to_owned(), SecretSlice::from(value.to_vec()));
        }
        rest = after;
    }
    Ok(Secrets {
        credentials: Credentials::new(data),
        webhook,
    })
}

/// The first part, and what comes after it.
fn part(packed: &[u8]) -> Result<(&[u8], &[u8]), PackingError> {
    let (length, rest) = packed.split_first_chunk().ok_or(PackingError)?;
    let length = usize::try_from(u64::from_be_bytes(*length)).map_err(|_| PackingError)?;
    rest.split_at_checked(length).ok_or(PackingError)
}

#[cfg(test)]
mod tests;
