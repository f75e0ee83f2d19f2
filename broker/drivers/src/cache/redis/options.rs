//! What an operator says about the server.

use secrecy::SecretString;
use thiserror::Error;

use super::address::UrlError;

/// The prefix of keys and channels, unless another is set.
pub const DEFAULT_PREFIX: &str = "package-broker:";

/// Bytes a prefix may have.
const MAX_PREFIX: usize = 64;

/// How the server is reached.
///
/// The URL has one of these forms. `rediss` in place of `redis` means TLS, to the Sentinels as well. User and password
/// are percent-encoded; ports default to 6379, those of Sentinels to 26379; `DB` to 0.
///
/// ```text
/// redis://[USER:PASSWORD@]HOST[:PORT][/DB]
/// redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/DB]?master=NAME[&sentinel-user=USER]
/// redis+cluster://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]…]
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the server is. Secret, as it may hold a password.
    pub url: SecretString,
    /// The password, if it is not in the URL. Only one of both may be given.
    pub password: Option<SecretString>,
    /// The password of the Sentinels, if they want one; that of the server is never sent to them.
    pub sentinel_password: Option<SecretString>,
    /// Certificates of the authorities that may have signed the server's, as PEM. Only these are trusted then; without
    /// them, those of the system are.
    pub ca: Option<String>,
    /// What all keys and channels start with: installations that share a server need one each.
    pub prefix: String,
}

impl Options {
    /// A server at `url`, and defaults for everything else.
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            password: None,
            sentinel_password: None,
            ca: None,
            prefix: DEFAULT_PREFIX.to_owned(),
        }
    }

    pub(super) fn check(&self) -> Result<(), OptionsError> {
        let allowed = |c: char| {
            c.is_ascii_graphic() && !matches!(c, '{' | '}' | '*' | '?' | '[' | ']' | '\\')
        };
        if self.prefix.is_empty()
            || self.prefix.len() > MAX_PREFIX
            || !self.prefix.chars().all(allowed)
        {
            return Err(OptionsError::Prefix(self.prefix.chars().take(80).collect()));
        }
        Ok(())
    }
}

/// Options that cannot be right. None of these shows a password.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The URL is wrong.
    #[error("the URL of Redis is wrong: {0}")]
    Url(#[from] UrlError),
    /// Two passwords.
    #[error("a password for Redis is given in the URL and besides it: leave it out of the URL")]
    TwoPasswords,
    /// A user but no password.
    #[error(
        "the URL of Redis names a user, but no password is given: add it to the URL or name its Secret"
    )]
    NoPassword,
    /// A password of Sentinels that would never be used.
    #[error(
        "a password for Sentinels is given, but the URL of Redis names none: use redis+sentinel://HOST?master=NAME or \
         leave the password out"
    )]
    NoSentinels,
    /// A user of the Sentinels but no password.
    #[error(
        "the URL of Redis has sentinel-user, but no password for Sentinels is given: name its Secret"
    )]
    NoSentinelPassword,
    /// Certificates that would never be used.
    #[error(
        "certificates are given, but the URL of Redis is one without TLS: use rediss:// or leave them out"
    )]
    CaWithoutTls,
    /// Certificates that cannot be read.
    #[error(
        "the CA certificates for Redis cannot be used ({0}): give one or more certificates as PEM"
    )]
    Ca(String),
    /// A prefix with other characters, too long or empty.
    #[error(
        "\"{0}\" cannot be a prefix in Redis: use 1 to 64 visible ASCII characters other than {{ }} [ ] * ? and \\"
    )]
    Prefix(String),
    /// The client of Redis does not take the options.
    #[error("Redis cannot be used with these options: {0}")]
    Client(String),
    /// The system has no random bytes.
    #[error("no random name for this replica: {0}")]
    Random(String),
}
