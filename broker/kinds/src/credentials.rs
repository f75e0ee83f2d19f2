//! Whether a Secret holds credentials that a source can use.

use std::str;

use http::{HeaderName, HeaderValue, header};
use package_broker_crds::{RepositoryType, validation::nearest};
use secrecy::ExposeSecret;

use crate::{SecretData, pem};

/// Logins that http carries.
const HTTP_KEYS: [&str; 4] = ["username", "password", "token", "header"];
/// What secures a connection, whatever login it carries.
const TLS_KEYS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];
const SSH_KEYS: [&str; 2] = ["ssh-privatekey", "known_hosts"];
const BUCKET_KEYS: [&str; 3] = ["accessKeyId", "secretAccessKey", "sessionToken"];

/// All of them.
fn known() -> impl Iterator<Item = &'static str> {
    let keys = HTTP_KEYS.into_iter().chain(TLS_KEYS).chain(SSH_KEYS);
    keys.chain(BUCKET_KEYS)
}

/// What is wrong with a Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The key whose value is wrong by itself; none when the Secret as a whole does not fit.
    pub key: Option<String>,
    /// Reads on from the key, or from `Secret "name"`.
    pub message: String,
    /// What to do.
    pub fix: String,
}

impl Mistake {
    /// The whole sentence about a Secret that a field names.
    pub fn in_secret(&self, field: &str, secret: &str) -> String {
        let key = self.key.as_ref();
        let key = key.map(|key| format!(": key {key}")).unwrap_or_default();
        let Self { message, fix, .. } = self;
        format!("{field}: Secret \"{secret}\"{key} {message}; {fix}")
    }

    fn of_whole(message: String, fix: impl Into<String>) -> Self {
        Self {
            key: None,
            message,
            fix: fix.into(),
        }
    }
}

/// All reasons why the Secret cannot serve a source of that type and URL.
pub fn check(kind: RepositoryType, url: &str, data: &SecretData) -> Vec<Mistake> {
    let (usable, reader) = way(kind, url);
    let mut mistakes = misspelt(data);
    if !data.keys().any(|key| usable.contains(&key.as_str())) && mistakes.is_empty() {
        mistakes.push(Mistake::of_whole(
            format!("has no credentials for {reader}"),
            format!("give it some of the keys {}", usable.join(", ")),
        ));
    }
    for key in known().filter(|key| !usable.contains(key) && data.contains_key(*key)) {
        let fix = if TLS_KEYS.contains(&key) && url.starts_with("http:") {
            "use https, or remove that key"
        } else {
            "remove that key"
        };
        mistakes.push(Mistake::of_whole(
            format!("has {key}, which this URL cannot use"),
            fix,
        ));
    }
    mistakes.extend(incomplete(data));
    mistakes.extend(data.iter().filter_map(|(key, value)| {
        let (message, fix) = malformed(key, value.expose_secret())?;
        Some(Mistake {
            key: Some(key.clone()),
            message,
            fix: fix.to_owned(),
        })
    }));
    mistakes
}

/// The keys that a source can be asked with, and what it is.
fn way(kind: RepositoryType, url: &str) -> (Vec<&'static str>, String) {
    let over_tls = |keys: &[&'static str]| keys.iter().copied().chain(TLS_KEYS).collect();
    match kind {
        RepositoryType::Artifact => (over_tls(&BUCKET_KEYS), "a bucket".to_owned()),
        RepositoryType::Git
        | RepositoryType::GitHub
        | RepositoryType::GitLab
        | RepositoryType::Bitbucket
            if is_ssh(url) =>
        {
            let reader = format!("a {} source over ssh", kind.as_str());
            (SSH_KEYS.into(), reader)
        }
        RepositoryType::Composer
        | RepositoryType::Git
        | RepositoryType::GitHub
        | RepositoryType::GitLab
        | RepositoryType::Bitbucket => over_http(kind, url, over_tls(&HTTP_KEYS)),
    }
}

/// What goes with requests; what secures connections only where these are secure.
fn over_http(
    kind: RepositoryType,
    url: &str,
    over_tls: Vec<&'static str>,
) -> (Vec<&'static str>, String) {
    let kind = kind.as_str();
    if url.starts_with("http:") {
        (HTTP_KEYS.into(), format!("a {kind} source over http"))
    } else {
        (over_tls, format!("a {kind} source over https"))
    }
}

/// Whether git reads the URL over ssh: `ssh://…` or `user@host:path`.
fn is_ssh(url: &str) -> bool {
    url.starts_with("ssh://") || !url.contains("://")
}

/// Other keys may be there for other readers of the Secret, but not misspelt ones.
fn misspelt(data: &SecretData) -> Vec<Mistake> {
    data.keys()
        .filter(|key| !known().any(|known| known == key.as_str()))
        .filter_map(|key| Some((key, nearest(key, known())?)))
        .map(|(key, meant)| {
            let message = format!("has an unknown key {key}");
            Mistake::of_whole(message, format!("did you mean {meant}?"))
        })
        .collect()
}

/// Pairs of which one is missing, and ways to authenticate of which there is more than one.
fn incomplete(data: &SecretData) -> Vec<Mistake> {
    let has = |key: &str| data.contains_key(key);
    let mut mistakes = Vec::new();
    for (a, b) in [
        ("username", "password"),
        ("tls.crt", "tls.key"),
        ("ssh-privatekey", "known_hosts"),
        ("accessKeyId", "secretAccessKey"),
    ] {
        for (there, missing) in [(a, b), (b, a)] {
            if has(there) && !has(missing) {
                mistakes.push(Mistake::of_whole(
                    format!("has {there} but no {missing}"),
                    format!("add the key {missing}"),
                ));
            }
        }
    }
    if has("sessionToken") && !has("accessKeyId") {
        mistakes.push(Mistake::of_whole(
            "has sessionToken but no accessKeyId".to_owned(),
            "add the keys accessKeyId and secretAccessKey",
        ));
    }
    let ways: Vec<&str> = ["username", "token", "header"]
        .into_iter()
        .filter(|key| has(key))
        .collect();
    if ways.len() > 1 {
        mistakes.push(Mistake::of_whole(
            format!("has {}", ways.join(" and ")),
            "keep one of them",
        ));
    }
    mistakes
}

/// What is wrong with the value of a key, whatever it is used for.
fn malformed(key: &str, value: &[u8]) -> Option<(String, &'static str)> {
    let mistake = |message: &str, fix: &'static str| Some((message.to_owned(), fix));
    let text = str::from_utf8(value)
        .unwrap_or_default()
        .trim_end_matches(['\r', '\n']);
    if !known().any(|known| known == key) {
        return None;
    }
    if text.is_empty() {
        return mistake("is empty or not text", "write a value");
    }
    match key {
        "username" | "password" | "token" if text.contains(char::is_control) => mistake(
            "spans several lines or holds control characters",
            "write one line of text",
        ),
        _ if BUCKET_KEYS.contains(&key) && text.contains(|c: char| !c.is_ascii_graphic()) => {
            mistake(
                "holds blanks or other characters that no key has",
                "write it as the service shows it",
            )
        }
        "username" if text.contains(':') => mistake("contains a colon", "leave the colon out"),
        "header" if !text.lines().all(is_header) => mistake(
            "is not of lines Name: value",
            "write for instance PRIVATE-TOKEN: abc",
        ),
        "tls.crt" | "ca.crt" => {
            pem::check(text, "a certificate", |label| label == "CERTIFICATE").err()
        }
        "tls.key" | "ssh-privatekey" => pem::check(text, "a private key", |label| {
            label.ends_with("PRIVATE KEY")
        })
        .err(),
        "known_hosts" if !text.lines().any(is_known_host) => mistake(
            "names no host",
            "write the output of ssh-keyscan, after you compared it",
        ),
        _ => None,
    }
}

/// `Name: value`, but not a header that the connection itself is made of.
fn is_header(line: &str) -> bool {
    let Some((name, value)) = line.split_once(':') else {
        return false;
    };
    let own = [
        header::HOST,
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::TRANSFER_ENCODING,
    ];
    HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !own.contains(&name))
        && !value.trim().is_empty()
        && HeaderValue::from_str(value.trim()).is_ok()
}

fn is_known_host(line: &str) -> bool {
    !line.starts_with('#') && line.split_whitespace().count() >= 3
}
