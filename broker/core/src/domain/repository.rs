//! A repository as an installation runs it: what the `Repository` resource says, with its credentials.

use std::{collections::BTreeMap, fmt, time::Duration};

use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};

use super::{
    cadence::Cadence,
    names::RepositoryName,
    patterns::NameFilter,
    selection::{RefPattern, VersionFilter},
    webhook::WebhookSecret,
};

/// Which protocol a repository's URL speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// Another Composer repository.
    Composer,
    /// A git repository that holds one package.
    Git,
    /// The same on GitHub.
    GitHub,
    /// The same on a GitLab.
    GitLab,
    /// The same on Bitbucket.
    Bitbucket,
    /// A folder or a bucket of package archives.
    Artifact,
}

impl SourceKind {
    /// The word used in manifests, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Composer => "composer",
            Self::Git => "git",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Artifact => "artifact",
        }
    }
}

/// When a repository's packages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// All of them, ahead of the first request.
    Eager,
    /// Each on the first request for it, then kept fresh.
    Lazy,
}

/// Where the bucket of an `s3:` URL is, and how it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketAccess {
    /// The URL of the service; `None` is that of AWS in the region.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// Whether the bucket's name is in the path of a request, not in its host; `None` lets the driver decide.
    pub path_style: Option<bool>,
}

impl Default for BucketAccess {
    fn default() -> Self {
        Self {
            endpoint: None,
            region: "us-east-1".to_owned(),
            path_style: None,
        }
    }
}

/// One source of packages, ready to be read.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Unique in the installation.
    pub name: RepositoryName,
    /// The protocol of `url`.
    pub kind: SourceKind,
    /// Where the packages are; never with a password.
    pub url: String,
    /// Of two repositories that have a name, the higher owns it; equal ones by name, first wins.
    pub priority: i32,
    /// Which names are taken from it.
    pub filter: NameFilter,
    /// Which versions of them are.
    pub versions: VersionFilter,
    /// What the user asked for; `None` lets the source decide: eager where it publishes a list.
    pub mode: Option<SyncMode>,
    /// When it is synced again.
    pub cadence: Cadence,
    /// The longest a whole sync may take.
    pub timeout: Duration,
    /// The folder of the package inside a git repository, without slashes at its ends.
    pub path: Option<String>,
    /// Which tags and branches of a git repository are read; empty means all.
    pub refs: Vec<RefPattern>,
    /// For archives in a bucket, how that is asked for.
    pub bucket: BucketAccess,
    /// What the source is asked with.
    pub credentials: Credentials,
    /// What calls of the source's host are proven with; nothing if none are taken.
    pub webhook: Option<WebhookSecret>,
    /// A public repository is never asked for names that private ones claim (design rule 2).
    pub public: bool,
    /// It is not synced for the time being. What was read of it before goes on being served, and no name is expected of it
    /// beyond that.
    pub suspended: bool,
    /// Whether it goes on being served, and is synced no more, when it is no longer declared.
    pub retained: bool,
}

impl Repository {
    /// Whether both are the same in every setting, credentials included.
    pub fn same_as(&self, other: &Self) -> bool {
        let Self {
            name,
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
            credentials,
            webhook,
            public,
            suspended,
            retained,
        } = self;
        let same_webhook = match (webhook, &other.webhook) {
            (Some(webhook), Some(other)) => webhook.same_as(other),
            (webhook, other) => webhook.is_none() && other.is_none(),
        };
        (name, kind, url, priority, filter)
            == (
                &other.name,
                &other.kind,
                &other.url,
                &other.priority,
                &other.filter,
            )
            && (mode, cadence, timeout, bucket)
                == (&other.mode, &other.cadence, &other.timeout, &other.bucket)
            && (versions, path, refs) == (&other.versions, &other.path, &other.refs)
            && (public, suspended, retained) == (&other.public, &other.suspended, &other.retained)
            && credentials.same_as(&other.credentials)
            && same_webhook
    }
}

/// The keys of the Secret that a repository names. Never shown, not even by `Debug`.
#[derive(Clone, Default)]
pub struct Credentials(BTreeMap<String, SecretSlice<u8>>);

impl Credentials {
    /// Takes the decoded `data` of a Secret.
    pub fn new(data: BTreeMap<String, SecretSlice<u8>>) -> Self {
        Self(data)
    }

    /// Whether there is nothing to authenticate with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The raw bytes of a key such as `ssh-privatekey`.
    pub fn bytes(&self, key: &str) -> Option<&[u8]> {
        self.0.get(key).map(secrecy::ExposeSecret::expose_secret)
    }

    /// A key as text without the line end that editors leave.
    pub fn text(&self, key: &str) -> Option<&str> {
        let text = std::str::from_utf8(self.bytes(key)?).ok()?;
        Some(text.trim_end_matches(['\r', '\n']))
    }

    /// All keys and values.
    pub fn to_map(&self) -> BTreeMap<String, SecretSlice<u8>> {
        self.0.clone()
    }

    /// Every key with its raw bytes, in the order of the keys.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &SecretSlice<u8>)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Whether both hold the same keys and values.
    pub fn same_as(&self, other: &Self) -> bool {
        self.0.len() == other.0.len()
            && self
                .0
                .iter()
                .zip(&other.0)
                .all(|(a, b)| a.0 == b.0 && a.1.expose_secret() == b.1.expose_secret())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_keys_only() {
        let data = [("token".to_owned(), SecretSlice::from(b"hush".to_vec()))].into();
        let shown = format!("{:?}", Credentials::new(data));
        assert_eq!(shown, r#"{"token"}"#);
    }
}
