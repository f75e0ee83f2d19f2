//! Keys as servers keep them.

use std::borrow::Cow;

use sha2::{Digest, Sha256};

/// A longer key is kept as its hash.
const MAX_KEY: usize = 128;

/// `key` in at most [`MAX_KEY`] bytes that every server takes. A long key costs memory, braces would let it choose its
/// slot of a Redis cluster, and PostgreSQL has no text with a zero byte: such keys are hashed.
pub(super) fn short(key: &str) -> Cow<'_, str> {
    let plain = key.len() <= MAX_KEY && !key.contains(['{', '}', '\0']) && !key.starts_with('#');
    if plain {
        return Cow::Borrowed(key);
    }
    Cow::Owned(format!("#{}", hex::encode(Sha256::digest(key))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_stay_apart_and_short() {
        assert_eq!(short("auth-failures:192.0.2.1"), "auth-failures:192.0.2.1");
        let long = "k".repeat(MAX_KEY + 1);
        let hashed: Vec<_> = [long.as_str(), "{a}", "a\0", "#a"].map(short).into();
        for (number, key) in hashed.iter().enumerate() {
            assert!(key.len() == 65 && key.starts_with('#'), "{key}");
            assert!(!hashed[..number].contains(key), "{key}");
            assert_ne!(short(key), *key, "nobody can name another's hash");
        }
    }
}
