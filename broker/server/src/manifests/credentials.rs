//! Whether a Secret holds credentials that a source can use.

use std::str;

use http::{HeaderName, HeaderValue, header};
use package_broker_crds::{RepositoryType, validation::nearest};
use secrecy::ExposeSecret;

use super::SecretData;

/// What a source can be asked with.
const HTTP_KEYS: [&str; 7] = [
    "username", "password", "token", "header", "tls.crt", "tls.key", "ca.crt",
];
const SSH_KEYS: [&str; 2] = ["ssh-privatekey", "known_hosts"];

/// What is wrong, and what to do; reads on from `Secret "name"`.
pub(super) type Mistake = (String, String);

/// All reasons why the Secret cannot serve a source of that type and URL.
pub(super) fn check(kind: RepositoryType, url: &str, data: &SecretData) -> Vec<Mistake> {
    let ssh = kind == RepositoryType::Git && is_ssh(url);
    let (usable, foreign) = if ssh {
        (&SSH_KEYS[..], &HTTP_KEYS[..])
    } else {
        (&HTTP_KEYS[..], &SSH_KEYS[..])
    };
    let mut mistakes = misspelt(data);
    if !data.keys().any(|key| usable.contains(&key.as_str())) && mistakes.is_empty() {
        let over = if ssh { "ssh" } else { "http" };
        mistakes.push((
            format!(
                "has no credentials for a {} source over {over}",
                kind.as_str()
            ),
            format!("give it some of the keys {}", usable.join(", ")),
        ));
    }
    for key in foreign.iter().filter(|key| data.contains_key(**key)) {
        mistakes.push((
            format!("has {key}, which this URL cannot use"),
            "remove that key".to_owned(),
        ));
    }
    mistakes.extend(incomplete(data));
    mistakes.extend(
        data.iter()
            .filter_map(|(key, value)| malformed(key, value.expose_secret())),
    );
    mistakes
}

/// Whether git reads the URL over ssh: `ssh://…` or `user@host:path`.
fn is_ssh(url: &str) -> bool {
    url.starts_with("ssh://") || !url.contains("://")
}

/// Other keys may be there for other readers of the Secret, but not misspelt ones.
fn misspelt(data: &SecretData) -> Vec<Mistake> {
    let known = || HTTP_KEYS.into_iter().chain(SSH_KEYS);
    data.keys()
        .filter(|key| !known().any(|known| known == key.as_str()))
        .filter_map(|key| Some((key, nearest(key, known())?)))
        .map(|(key, meant)| {
            (
                format!("has an unknown key {key}"),
                format!("did you mean {meant}?"),
            )
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
    ] {
        for (there, missing) in [(a, b), (b, a)] {
            if has(there) && !has(missing) {
                mistakes.push((
                    format!("has {there} but no {missing}"),
                    format!("add the key {missing}"),
                ));
            }
        }
    }
    let ways: Vec<&str> = ["username", "token", "header"]
        .into_iter()
        .filter(|key| has(key))
        .collect();
    if ways.len() > 1 {
        mistakes.push((
            format!("has {}", ways.join(" and ")),
            "keep one of them".to_owned(),
        ));
    }
    mistakes
}

fn malformed(key: &str, value: &[u8]) -> Option<Mistake> {
    let mistake =
        |message: &str, fix: &str| Some((format!("has a {key} that {message}"), fix.to_owned()));
    let text = str::from_utf8(value)
        .unwrap_or_default()
        .trim_end_matches(['\r', '\n']);
    if !HTTP_KEYS.contains(&key) && !SSH_KEYS.contains(&key) {
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
        "username" if text.contains(':') => mistake("contains a colon", "leave the colon out"),
        "header" if !text.lines().all(is_header) => mistake(
            "is not of lines Name: value",
            "write for instance PRIVATE-TOKEN: abc",
        ),
        "tls.crt" | "ca.crt" if !text.contains("-----BEGIN CERTIFICATE-----") => mistake(
            "is not a certificate in PEM",
            "begin it with -----BEGIN CERTIFICATE-----",
        ),
        "tls.key" | "ssh-privatekey" if !text.contains("PRIVATE KEY-----") => mistake(
            "is not a private key in PEM or OpenSSH form",
            "write the key file as it is",
        ),
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
