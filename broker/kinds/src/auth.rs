//! What `composer` reads to send a token.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

/// The name that goes with a token: any will do.
pub const USERNAME: &str = "token";

/// An `auth.json`, or the value of `COMPOSER_AUTH`, for the origin of a public URL (protocol A.7).
pub fn auth_json(token: &SecretString, url: &str) -> Value {
    let origin = url.split_once("://").map_or(url, |(_, rest)| rest);
    let origin = origin.split('/').next().unwrap_or(origin);
    json!({"http-basic": {origin: {"username": USERNAME, "password": token.expose_secret()}}})
}
