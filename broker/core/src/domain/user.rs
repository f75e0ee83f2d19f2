//! People: who may look at an installation as a whole.

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_NAME: usize = 64;
/// The shortest password, in bytes.
pub const MIN_PASSWORD: usize = 12;
/// The longest, in bytes: what is hashed on a request has to end.
pub const MAX_PASSWORD: usize = 256;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Read the state and the audit log of the whole installation. Packages are for tokens.
    Administrator,
}

/// Whether it can be the name of a user: letters, digits and `.`, `_`, `-`, so that it cannot be taken for anything else in
/// a log or in Basic credentials.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

/// Whether it can be a password: one line of text that is neither short nor endless.
pub fn is_password(text: &str) -> bool {
    (MIN_PASSWORD..=MAX_PASSWORD).contains(&text.len()) && !text.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_are_bounded() {
        assert!(is_name("admin") && is_name("Jane.Doe-2_x"));
        for wrong in ["", "a b", "a:b", "a/b", "é", &"x".repeat(65)] {
            assert!(!is_name(wrong), "{wrong}");
        }
        assert!(is_password("correct horse"));
        for wrong in ["", "short", "two\nlines of it", &"x".repeat(257)] {
            assert!(!is_password(wrong), "{wrong}");
        }
    }
}
