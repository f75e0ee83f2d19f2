//! What calls of a webhook are proven with.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac, digest::Key};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// A text that the host of a source knows too. Never shown, not even by `Debug`.
#[derive(Clone)]
pub struct WebhookSecret(SecretSlice<u8>);

/// The least bytes of such a text.
pub const MIN_SECRET: usize = 16;

impl WebhookSecret {
    /// The text as a Secret has it, without the line end that editors leave.
    pub fn new(text: &[u8]) -> Self {
        let end = text
            .iter()
            .rposition(|byte| !matches!(byte, b'\r' | b'\n'))
            .map_or(0, |last| last + 1);
        Self(text.get(..end).unwrap_or_default().to_vec().into())
    }

    /// Begins to check a signature, HMAC-SHA-256 over the body of a call (RFC 2104).
    pub fn signature(&self) -> Signature {
        Signature(hmac(self.0.expose_secret()))
    }

    /// Whether a call that carries the text itself is proven by it. Takes the same time for all of one length.
    pub fn is(&self, text: &[u8]) -> bool {
        self.0.expose_secret().ct_eq(text).into()
    }

    /// Whether both are the same text.
    pub fn same_as(&self, other: &Self) -> bool {
        self.is(other.0.expose_secret())
    }

    /// The text, to be packed.
    pub(super) fn text(&self) -> &SecretSlice<u8> {
        &self.0
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WebhookSecret")
    }
}

/// A signature that is being worked out while a body comes in.
pub struct Signature(Hmac<Sha256>);

impl Signature {
    /// Takes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// Whether it is the one of the call. Takes the same time for all.
    pub fn is(self, of_call: &[u8]) -> bool {
        self.0.verify_slice(of_call).is_ok()
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    // Keys of any length are taken (RFC 2104, 2); only the type does not know that.
    Hmac::new_from_slice(key).unwrap_or_else(|_| Hmac::new(&Key::<Hmac<Sha256>>::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let secret = WebhookSecret::new(b"Jefe\n");
        let expected =
            hex::decode("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
                .unwrap();
        let signed = |pieces: &[&[u8]]| {
            let mut signature = secret.signature();
            for piece in pieces {
                signature.update(piece);
            }
            signature
        };
        assert!(signed(&[b"what do ya want ", b"for nothing?"]).is(&expected));
        assert!(!signed(&[b"what do ya want for something?"]).is(&expected));
        assert!(!signed(&[b"what do ya want for nothing?"]).is(&expected[..31]));
        assert!(!signed(&[]).is(&[]));
    }

    #[test]
    fn the_text_itself_is_compared_without_its_line_end() {
        let secret = WebhookSecret::new(b"a secret\r\n");
        assert!(secret.is(b"a secret"));
        assert!(!secret.is(b"a secret\n") && !secret.is(b"a secre") && !secret.is(b""));
        assert!(secret.same_as(&WebhookSecret::new(b"a secret")));
        assert_eq!(format!("{secret:?}"), "WebhookSecret");
    }
}
