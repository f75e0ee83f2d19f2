//! What a bucket is opened with, and what is wrong with it before anything is asked.

use std::{fmt, path::PathBuf, time::Duration};

use object_store::path::Path as Key;
use reqwest::Certificate;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Url;

/// Where a bucket is and who we are there.
#[derive(Clone)]
pub struct S3Options {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region; services of one's own have a name for theirs too, often `us-east-1`.
    pub region: String,
    /// The URL of the service; that of AWS in the region where there is none. `http://` only where it says so.
    pub endpoint: Option<String>,
    /// Whether the bucket is named in the path, as most services of one's own want it, and not in the host.
    pub path_style: bool,
    /// A folder in the bucket that all keys are in; empty for the bucket itself. `team` and `team/` are the same.
    pub prefix: String,
    /// Who we are.
    pub credentials: S3Credentials,
    /// CA certificates (PEM) trusted besides the system's.
    pub ca_certificate: Option<String>,
    /// How long the service is waited for.
    pub patience: Patience,
}

impl fmt::Debug for S3Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Options")
            .field("bucket", &self.bucket)
            .field("region", &self.region)
            .field("path_style", &self.path_style)
            .field("prefix", &self.prefix)
            .field("credentials", &self.credentials)
            .field("patience", &self.patience)
            // A URL may have a password, and a PEM a key, until they are checked.
            .finish_non_exhaustive()
    }
}

/// Who we are to the service.
#[derive(Clone, Debug)]
pub enum S3Credentials {
    /// A key that stays the same.
    Static {
        /// The public half.
        access_key_id: String,
        /// The secret half.
        secret_access_key: SecretString,
        /// Goes with a temporary key.
        session_token: Option<SecretString>,
    },
    /// A token of the cluster for a role, exchanged for keys of an hour; the file is read again for each.
    WebIdentity {
        /// The role.
        role_arn: String,
        /// Where the cluster keeps the token.
        token_file: PathBuf,
        /// The `https://` URL of the security token service; that of AWS in the region where there is none.
        sts_endpoint: Option<String>,
    },
}

/// How long the service is waited for. A request takes at the most `total` and one `silence`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The longest a connection may take to be made, name look-up and TLS included.
    pub connect: Duration,
    /// The longest an upload may take to be answered, its bytes included, and a download may pause.
    pub silence: Duration,
    /// How often a request is tried again after a failure that may pass, and a download that broke is resumed.
    pub retries: usize,
    /// How long after the first try a request is tried again, or a download resumed.
    pub total: Duration,
}

/// As for sources: a service that is not there is known soon.
const CONNECT: Duration = Duration::from_secs(10);
/// All parts at once (32 MiB) get through within it at 5 Mbit/s.
const SILENCE: Duration = Duration::from_mins(1);
/// With pauses that double from 0.1 s, enough to ride out a restart of the service, within the minutes that clients
/// wait for an archive.
const RETRIES: usize = 8;
const TOTAL: Duration = Duration::from_mins(1);

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: CONNECT,
            silence: SILENCE,
            retries: RETRIES,
            total: TOTAL,
        }
    }
}

/// An option cannot be used. Its value is not repeated: it may be a secret in the wrong place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the S3 option `{option}` {problem}; {fix}")]
pub struct InvalidOption {
    /// The option's name, for instance `endpoint`.
    pub option: &'static str,
    /// What is wrong, for instance `is empty`.
    pub problem: String,
    /// What to do about it.
    pub fix: &'static str,
}

impl InvalidOption {
    pub(super) fn new(option: &'static str, problem: impl Into<String>, fix: &'static str) -> Self {
        Self {
            option,
            problem: problem.into(),
            fix,
        }
    }
}

/// What was made of the options.
pub(super) struct Checked {
    /// The service, without the bucket.
    pub(super) endpoint: Url,
    /// What keys begin with: `<prefix>/blobs/`.
    pub(super) folder: String,
    pub(super) roots: Vec<Certificate>,
}

impl S3Options {
    pub(super) fn checked(&self) -> Result<Checked, InvalidOption> {
        check_name(
            "bucket",
            &self.bucket,
            b"-_.",
            "write its name alone, for instance acme-packages",
        )?;
        check_name(
            "region",
            &self.region,
            b"-_",
            "write it as the service names it, for instance eu-central-1",
        )?;
        let endpoint = match &self.endpoint {
            Some(endpoint) => service_url("endpoint", endpoint)?,
            None => service_url(
                "region",
                &format!("https://s3.{}.amazonaws.com", self.region),
            )?,
        };
        if !self.path_style && (endpoint.domain().is_none() || self.bucket.contains('.')) {
            return Err(InvalidOption::new(
                "pathStyle",
                "is off, but the bucket's name cannot be a part of the host's",
                "set it to true",
            ));
        }
        self.credentials.check()?;
        Ok(Checked {
            endpoint,
            folder: folder(&self.prefix)?,
            roots: self.roots()?,
        })
    }

    fn roots(&self) -> Result<Vec<Certificate>, InvalidOption> {
        let Some(pem) = &self.ca_certificate else {
            return Ok(Vec::new());
        };
        match Certificate::from_pem_bundle(pem.as_bytes()) {
            Ok(roots) if !roots.is_empty() => Ok(roots),
            _ => Err(InvalidOption::new(
                "caCertificate",
                "has no certificate",
                "write certificates as PEM, from -----BEGIN CERTIFICATE----- on",
            )),
        }
    }
}

impl S3Credentials {
    fn check(&self) -> Result<(), InvalidOption> {
        match self {
            Self::Static {
                access_key_id,
                secret_access_key,
                session_token,
            } => {
                check_key("accessKeyId", access_key_id)?;
                check_key("secretAccessKey", secret_access_key.expose_secret())?;
                session_token
                    .iter()
                    .try_for_each(|token| check_key("sessionToken", token.expose_secret()))
            }
            Self::WebIdentity {
                role_arn,
                token_file,
                sts_endpoint,
            } => check_identity(role_arn, token_file, sts_endpoint.as_deref()),
        }
    }
}

fn check_identity(
    role_arn: &str,
    token_file: &std::path::Path,
    sts_endpoint: Option<&str>,
) -> Result<(), InvalidOption> {
    if !role_arn.starts_with("arn:") || !is_visible(role_arn) {
        return Err(InvalidOption::new(
            "roleArn",
            "is no ARN",
            "write it like arn:aws:iam::123456789012:role/packages",
        ));
    }
    if !token_file.is_absolute() || token_file.to_str().is_none() {
        return Err(InvalidOption::new(
            "tokenFile",
            "is no absolute path",
            "write where the cluster mounts the token",
        ));
    }
    let Some(endpoint) = sts_endpoint else {
        return Ok(());
    };
    if service_url("stsEndpoint", endpoint)?.scheme() == "https" {
        return Ok(());
    }
    Err(InvalidOption::new(
        "stsEndpoint",
        "would send the token in the clear",
        "write https://host[:port]",
    ))
}

/// Names of which hosts and paths are made.
fn check_name(
    option: &'static str,
    name: &str,
    others: &[u8],
    fix: &'static str,
) -> Result<(), InvalidOption> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    let problem = if name.is_empty() {
        "is empty"
    } else if name.len() > 255
        || !name.bytes().all(allowed)
        || name.bytes().all(|byte| byte == b'.')
    {
        "is not such a name"
    } else {
        return Ok(());
    };
    Err(InvalidOption::new(option, problem, fix))
}

/// Keys end up in headers. A line end is what a file of a Secret often has too much.
fn check_key(option: &'static str, key: &str) -> Result<(), InvalidOption> {
    let problem = if key.is_empty() {
        "is empty"
    } else if !is_visible(key) {
        "has white space or other characters that no key has"
    } else {
        return Ok(());
    };
    Err(InvalidOption::new(
        option,
        problem,
        "write the key alone, without a line end",
    ))
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn service_url(option: &'static str, text: &str) -> Result<Url, InvalidOption> {
    let problem = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") || !url.has_host() => {
            "is no http:// or https:// URL".to_owned()
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            "has a user or a password".to_owned()
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            "has a query or a fragment".to_owned()
        }
        Ok(url) => return Ok(url),
        Err(error) => format!("is no URL ({error})"),
    };
    Err(InvalidOption::new(
        option,
        problem,
        "write https://host[:port]",
    ))
}

fn folder(prefix: &str) -> Result<String, InvalidOption> {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.is_empty() {
        return Ok("blobs/".to_owned());
    }
    // A key leaves out empty parts and escapes what S3 services treat differently.
    if Key::from(prefix).as_ref() != prefix || prefix.len() > 512 {
        return Err(InvalidOption::new(
            "prefix",
            "is no folder of keys",
            "write it as keys begin, for instance team/packages, in plain characters",
        ));
    }
    Ok(format!("{prefix}/blobs/"))
}
