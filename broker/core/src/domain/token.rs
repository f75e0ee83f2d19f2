//! Access tokens: `pb_`, 32 random bytes, a checksum; stored as SHA-256 only (design rule 6).

use std::fmt;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

/// What every generated token begins with, so that secret scanners can find leaks.
pub const PREFIX: &str = "pb_";

/// The bounds of a token that a user brings, in bytes.
pub const BROUGHT_LENGTH: std::ops::RangeInclusive<usize> = 32..=512;

/// A text cannot be used as a token. The message never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenError {
    /// Begins like one of ours, but is cut or mistyped.
    #[error("the token begins with pb_ but its checksum does not fit: it was cut or mistyped")]
    Checksum,
    /// Too short to be safe, or absurdly long.
    #[error(
        "the token has {0} characters; use 32 to 512, or let one be made by leaving existingSecretRef out"
    )]
    Length(usize),
    /// Would not survive a header.
    #[error("the token holds a blank or a character outside of printable ASCII")]
    Characters,
    /// The system gave no random numbers.
    #[error("the system's random number generator failed")]
    Random,
}

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Hashes a token as it was sent.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Compares in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// The first 8 hexadecimal digits: enough to tell tokens apart in logs, useless to an attacker.
    pub fn fingerprint(&self) -> String {
        hex::encode(self.0.get(..4).unwrap_or_default())
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}…", self.fingerprint())
    }
}

/// Makes a new token from 256 random bits.
///
/// # Errors
/// [`TokenError::Random`] if the system gives none.
pub fn generate() -> Result<SecretString, TokenError> {
    let mut random = [0u8; 32];
    getrandom::fill(&mut random).map_err(|_| TokenError::Random)?;
    let body = URL_SAFE_NO_PAD.encode(random);
    Ok(SecretString::from(format!(
        "{PREFIX}{body}{}",
        checksum(&body)
    )))
}

/// Checks a token that a user brings: one of ours by its checksum, any other by length and characters.
///
/// # Errors
/// [`TokenError`] with what to change.
pub fn check(token: &SecretString) -> Result<TokenHash, TokenError> {
    let text = token.expose_secret();
    if let Some(rest) = text.strip_prefix(PREFIX) {
        let (body, sum) = rest
            .split_at_checked(rest.len().saturating_sub(6))
            .ok_or(TokenError::Checksum)?;
        if body.len() < 43 || sum != checksum(body) {
            return Err(TokenError::Checksum);
        }
    }
    if !BROUGHT_LENGTH.contains(&text.len()) {
        return Err(TokenError::Length(text.len()));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Characters);
    }
    Ok(TokenHash::of(text))
}

/// CRC-32 of the random part in six base64url digits: finds cut and mistyped tokens without a look-up.
fn checksum(body: &str) -> String {
    let mut hash = crc32fast::Hasher::new();
    hash.update(body.as_bytes());
    URL_SAFE_NO_PAD.encode(hash.finalize().to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_tokens_pass_their_own_check() {
        let token = generate().unwrap();
        assert!(token.expose_secret().starts_with(PREFIX));
        assert_eq!(check(&token), Ok(TokenHash::of(token.expose_secret())));
        assert_ne!(generate().unwrap().expose_secret(), token.expose_secret());
    }

    #[test]
    fn a_changed_character_is_found() {
        let token = generate().unwrap();
        let mut text = token.expose_secret().to_owned();
        let last = text.pop().unwrap();
        assert_eq!(check(&text.clone().into()), Err(TokenError::Checksum));
        text.push(if last == 'A' { 'B' } else { 'A' });
        assert_eq!(check(&text.into()), Err(TokenError::Checksum));
    }

    #[test]
    fn brought_tokens_are_bounded() {
        assert_eq!(check(&"x".repeat(31).into()), Err(TokenError::Length(31)));
        assert_eq!(check(&"x".repeat(513).into()), Err(TokenError::Length(513)));
        assert_eq!(
            check(&format!("{} ", "x".repeat(40)).into()),
            Err(TokenError::Characters)
        );
        assert!(check(&"x".repeat(32).into()).is_ok());
        assert_eq!(check(&"pb_".to_owned().into()), Err(TokenError::Checksum));
    }

    #[test]
    fn debug_shows_a_fingerprint_only() {
        assert_eq!(format!("{:?}", TokenHash([0xab; 32])), "abababab…");
    }
}
