//! From the keys of a Secret to what goes on the wire (protocol A.7).

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
};
use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};
use reqwest::{Certificate, Identity};

use super::client::Tls;

/// The credentials of one repository, ready to be sent to its origin.
pub(super) struct Login {
    /// Sent pre-emptively with every request to the origin, as Composer does.
    pub(super) headers: HeaderMap,
    /// The client certificate and extra trust.
    pub(super) tls: Tls,
}

impl Login {
    /// Reads a Secret; keys it does not know belong to others.
    pub(super) fn read(credentials: &Credentials) -> Result<Self, SourceError> {
        Ok(Self {
            headers: headers(credentials)?,
            tls: tls(credentials)?,
        })
    }
}

fn headers(credentials: &Credentials) -> Result<HeaderMap, SourceError> {
    let mut headers = HeaderMap::new();
    let token = credentials.text("token").filter(|token| !token.is_empty());
    let basic = basic(credentials)?;
    match (token, basic) {
        (Some(_), Some(_)) => {
            return Err(misconfigured(
                "the Secret holds both a token and a user name",
                "keep either token (sent as Bearer) or username and password (sent as Basic)",
            ));
        }
        (Some(token), None) => headers.insert(
            AUTHORIZATION,
            secret_value("token", &format!("Bearer {token}"))?,
        ),
        (None, Some(basic)) => headers.insert(AUTHORIZATION, basic),
        (None, None) => None,
    };
    for line in credentials.text("header").unwrap_or_default().lines() {
        if !line.trim().is_empty() {
            add_line(&mut headers, line)?;
        }
    }
    Ok(headers)
}

fn basic(credentials: &Credentials) -> Result<Option<HeaderValue>, SourceError> {
    match (credentials.text("username"), credentials.text("password")) {
        (None, None) => Ok(None),
        (None, Some(_)) => Err(misconfigured(
            "the Secret holds a password but no user name",
            "add the key username",
        )),
        (Some(username), _) if username.contains(':') => Err(misconfigured(
            "the user name holds a colon, which Basic cannot carry",
            "check the key username",
        )),
        (Some(username), password) => {
            let pair =
                BASE64_STANDARD.encode(format!("{username}:{}", password.unwrap_or_default()));
            secret_value("username", &format!("Basic {pair}")).map(Some)
        }
    }
}

/// Adds one line `Name: value`.
fn add_line(headers: &mut HeaderMap, line: &str) -> Result<(), SourceError> {
    let wrong = |problem: &str| {
        misconfigured(
            problem,
            "write one \"Name: value\" a line in the key header",
        )
    };
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| wrong("a line of the key header has no colon"))?;
    let name: HeaderName = name
        .trim()
        .parse()
        .map_err(|_| wrong("a line of the key header has an illegal name"))?;
    if [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING].contains(&name) {
        return Err(wrong(&format!(
            "the key header sets {name}, which belongs to the connection"
        )));
    }
    if name == AUTHORIZATION && headers.contains_key(AUTHORIZATION) {
        return Err(misconfigured(
            "the key header sets Authorization beside another credential",
            "keep one of header, token, username",
        ));
    }
    headers.append(name, secret_value("header", value.trim())?);
    Ok(())
}

/// A header value that no log shows.
fn secret_value(key: &str, text: &str) -> Result<HeaderValue, SourceError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| {
        misconfigured(
            &format!("the key {key} of the Secret holds characters that no header can carry"),
            "check it for line breaks and control characters",
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

fn tls(credentials: &Credentials) -> Result<Tls, SourceError> {
    let roots = match credentials.bytes("ca.crt") {
        None => Vec::new(),
        Some(pem) => Certificate::from_pem_bundle(pem)
            .ok()
            .filter(|roots| !roots.is_empty())
            .ok_or_else(|| {
                misconfigured(
                    "ca.crt of the Secret holds no PEM certificate",
                    "put the CA's PEM there",
                )
            })?,
    };
    let identity = match (credentials.bytes("tls.crt"), credentials.bytes("tls.key")) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let pem = [certificate, b"\n", key].concat();
            let identity = Identity::from_pem(&pem).map_err(|_| {
                misconfigured(
                    "tls.crt and tls.key of the Secret are no PEM pair",
                    "put certificate and key there",
                )
            })?;
            Some(identity)
        }
        _ => {
            return Err(misconfigured(
                "the Secret holds one of tls.crt and tls.key",
                "add the other one",
            ));
        }
    };
    Ok(Tls { roots, identity })
}

fn misconfigured(problem: &str, fix: &str) -> SourceError {
    SourceError::Misconfigured {
        problem: problem.to_owned(),
        fix: fix.to_owned(),
    }
}
