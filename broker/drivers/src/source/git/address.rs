//! Where a git repository is: the URL forms that git users write.

use std::path::{Path, PathBuf};

use package_broker_core::ports::source::SourceError;
use url::{Host, Url};

use crate::source::egress::{EgressPolicy, abridged, shown};

/// The port of ssh where the URL names none.
const SSH_PORT: u16 = 22;

/// A parsed and judged repository URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// `https:` and, where the policy allows it, `http:`; without userinfo.
    Http(Url),
    /// `ssh://user@host:port/path` or `user@host:path`.
    Ssh(SshAddress),
    /// `file:///path` or an absolute path.
    Local(PathBuf),
}

/// Where a repository is behind ssh. Every part is safe as an argument of the `ssh` program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SshAddress {
    /// The account, `git` where the URL names none.
    pub(super) user: String,
    /// A name or an address, without brackets.
    pub(super) host: String,
    /// The TCP port.
    pub(super) port: u16,
    /// The path as the other side's shell gets it, not yet quoted.
    pub(super) path: String,
}

impl Address {
    /// Parses a repository URL and passes it through the policy.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] for what is no git URL, [`SourceError::Forbidden`] for what the policy forbids.
    pub(super) fn parse(text: &str, policy: &EgressPolicy) -> Result<Self, SourceError> {
        if text.starts_with('/') {
            return Self::local(Path::new(text), policy);
        }
        if !text.contains("://") {
            return scp_like(text, policy);
        }
        let mut url = Url::parse(text)
            .map_err(|error| misconfigured(&format!("the git URL is malformed: {error}")))?;
        match url.scheme() {
            "http" | "https" => {
                policy.check_url(&url)?;
                // Cannot fail for URLs with a host, which the policy has seen to.
                let _ = url.set_username("");
                Ok(Self::Http(url))
            }
            "ssh" | "git+ssh" => ssh_url(&url, policy),
            "file" => match url.to_file_path() {
                Ok(path) => Self::local(&path, policy),
                Err(()) => Err(misconfigured("the file URL names no local path")),
            },
            other => Err(misconfigured(&format!(
                "git URLs of the scheme \"{other}\" are not supported"
            ))),
        }
    }

    fn local(path: &Path, policy: &EgressPolicy) -> Result<Self, SourceError> {
        let url =
            Url::from_file_path(path).map_err(|()| misconfigured("the path is not absolute"))?;
        policy.check_url(&url)?;
        Ok(Self::Local(path.to_owned()))
    }
}

/// For errors and for `source.url`: never a password, nor a name that may be a token.
impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Http(url) => f.write_str(&shown(url)),
            Self::Ssh(ssh) => ssh.fmt(f),
            Self::Local(path) => write!(f, "{}", path.display()),
        }
    }
}

impl std::fmt::Display for SshAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            user,
            host,
            port,
            path,
        } = self;
        let host = if host.contains(':') {
            format!("[{host}]")
        } else {
            host.clone()
        };
        let slash = if path.starts_with('/') { "" } else { "/" };
        match (
            *port == SSH_PORT,
            path.starts_with('/') || path.starts_with('~'),
        ) {
            (true, false) => write!(f, "{user}@{host}:{path}"),
            (true, true) => write!(f, "ssh://{user}@{host}{slash}{path}"),
            (false, _) => write!(f, "ssh://{user}@{host}:{port}{slash}{path}"),
        }
    }
}

/// `user@host:path`, as git itself tells it from a path: a colon before the first slash.
fn scp_like(text: &str, policy: &EgressPolicy) -> Result<Address, SourceError> {
    let parts = text.split_once(':').filter(|(host, _)| !host.contains('/'));
    let Some((account, path)) = parts else {
        return Err(misconfigured(&format!(
            "\"{}\" is no git URL",
            abridged(text)
        )));
    };
    if path
        .split('/')
        .next()
        .is_some_and(|start| start.contains('@'))
    {
        return Err(misconfigured(
            "the git URL looks like user:password@host without https:// in front; put a password into the Secret of \
             credentialsSecretRef",
        ));
    }
    let (user, host) = account.split_once('@').unwrap_or(("git", account));
    ssh(user, host, SSH_PORT, path, policy)
}

fn ssh_url(url: &Url, policy: &EgressPolicy) -> Result<Address, SourceError> {
    if url.password().is_some() {
        return Err(misconfigured(
            "the ssh URL holds a password; ssh is used with a key",
        ));
    }
    let user = if url.username().is_empty() {
        "git"
    } else {
        url.username()
    };
    let host = url
        .host_str()
        .ok_or_else(|| misconfigured("the ssh URL names no host"))?;
    let host = host.trim_matches(['[', ']']);
    let path = percent_decoded(url.path())?;
    let path = path
        .strip_prefix("/~")
        .map_or(path.clone(), |rest| format!("~{rest}"));
    ssh(user, host, url.port().unwrap_or(SSH_PORT), &path, policy)
}

fn ssh(
    user: &str,
    host: &str,
    port: u16,
    path: &str,
    policy: &EgressPolicy,
) -> Result<Address, SourceError> {
    let plain = |text: &str, more: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if !plain(user, "._-+") || !plain(host, ".-_:") {
        return Err(misconfigured(
            "the user or the host of the ssh URL holds a character that has no place there",
        ));
    }
    // git takes `helper::address` for something else than ssh.
    if path.is_empty() || path.starts_with(['-', ':']) || path.chars().any(char::is_control) {
        return Err(misconfigured(
            "the ssh URL has no path, or one that starts with \"-\" or \":\"",
        ));
    }
    check_host(host, policy)?;
    let (user, host, path) = (user.to_owned(), host.to_owned(), path.to_owned());
    Ok(Address::Ssh(SshAddress {
        user,
        host,
        port,
        path,
    }))
}

/// Judges addresses at once, in all the ways they can be written; names are judged when they are resolved.
fn check_host(host: &str, policy: &EgressPolicy) -> Result<(), SourceError> {
    let bracketed = if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    };
    // Of ssh URLs the parser does not look into the host.
    let url = Url::parse(&format!("https://{bracketed}/")).map_err(|error| {
        misconfigured(&format!("the host of the ssh URL is malformed: {error}"))
    })?;
    match url.host() {
        Some(Host::Ipv4(ip)) => policy.check_ip(ip.into()),
        Some(Host::Ipv6(ip)) => policy.check_ip(ip.into()),
        Some(Host::Domain(_)) | None => Ok(()),
    }
}

fn percent_decoded(path: &str) -> Result<String, SourceError> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let digits = [bytes.next().unwrap_or(0), bytes.next().unwrap_or(0)];
        let mut value = [0];
        hex::decode_to_slice(digits, &mut value).map_err(|_| {
            misconfigured("the path of the ssh URL has a \"%\" without two hexadecimal digits")
        })?;
        decoded.extend(value);
    }
    String::from_utf8(decoded).map_err(|_| misconfigured("the path of the ssh URL is not UTF-8"))
}

fn misconfigured(problem: &str) -> SourceError {
    SourceError::Misconfigured {
        problem: problem.to_owned(),
        fix: "write Repository spec.url as https://host/path.git, ssh://user@host/path.git, user@host:path.git or \
              file:///path"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, String> {
        let policy = EgressPolicy {
            allow_http: true,
            allow_file: true,
            ..EgressPolicy::default()
        };
        Address::parse(text, &policy)
            .map(|address| address.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn all_forms_are_understood() {
        for (given, understood) in [
            (
                "https://git.example.com/acme/lib.git",
                "https://git.example.com/acme/lib.git",
            ),
            (
                "https://ghp_token@git.example.com/acme/lib.git",
                "https://git.example.com/acme/lib.git",
            ),
            ("http://git.example.com/lib", "http://git.example.com/lib"),
            (
                "git@git.example.com:acme/lib.git",
                "git@git.example.com:acme/lib.git",
            ),
            (
                "git.example.com:acme/lib.git",
                "git@git.example.com:acme/lib.git",
            ),
            (
                "git@git.example.com:/srv/lib.git",
                "ssh://git@git.example.com/srv/lib.git",
            ),
            (
                "ssh://git.example.com/srv/a%20b.git",
                "ssh://git@git.example.com/srv/a b.git",
            ),
            (
                "ssh://me@git.example.com:2222/srv/lib.git",
                "ssh://me@git.example.com:2222/srv/lib.git",
            ),
            (
                "ssh://git.example.com/~me/lib.git",
                "ssh://git@git.example.com/~me/lib.git",
            ),
            (
                "git+ssh://git.example.com/lib.git",
                "ssh://git@git.example.com/lib.git",
            ),
            (
                "ssh://git@[2001:4860::1]:2222/lib.git",
                "ssh://git@[2001:4860::1]:2222/lib.git",
            ),
            ("/srv/lib.git", "/srv/lib.git"),
            ("file:///srv/lib.git", "/srv/lib.git"),
        ] {
            assert_eq!(parse(given).as_deref(), Ok(understood), "{given}");
        }
    }

    #[test]
    fn what_is_unsafe_or_unclear_is_refused() {
        for given in [
            "",
            "lib.git",
            "./lib.git",
            "../x:y",
            "git://git.example.com/lib.git",
            "ext::sh -c id",
            "https://user:secret@git.example.com/lib.git",
            "ssh://git:secret@git.example.com/lib.git",
            "ssh://-oProxyCommand=id/lib.git",
            "-oProxyCommand=id:lib.git",
            "git@-oProxyCommand=id:lib.git",
            "-l@git.example.com:lib.git",
            "git@git.example.com:-lib.git",
            "git@git.example.com:",
            "git@git.example.com:a\nb",
            "bot:secret@git.example.com/lib.git",
            "secret@git.example.com/lib.git",
            "git.example.com/lib.git?token=secret",
            "https://bot:secret@git.example.com:99999/lib.git",
            "git@169.254.169.254:lib.git",
            "ssh://127.0.0.1/lib.git",
            "git@2130706433:lib.git",
            "git@0x7f.1:lib.git",
            "ssh://git@[::ffff:127.0.0.1]/lib.git",
            "ssh://git.example.com/%zz.git",
            "file://host/srv/lib.git",
        ] {
            let refusal = parse(given).unwrap_err();
            assert!(!refusal.contains("secret"), "{given}: {refusal}");
        }
    }

    #[test]
    fn files_and_plain_http_need_the_policy() {
        let strict = EgressPolicy::default();
        for given in [
            "/srv/lib.git",
            "file:///srv/lib.git",
            "http://git.example.com/lib.git",
        ] {
            assert!(
                matches!(
                    Address::parse(given, &strict),
                    Err(SourceError::Forbidden { .. })
                ),
                "{given}"
            );
        }
    }
}
