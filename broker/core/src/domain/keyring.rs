//! The keys that credentials are sealed with: the first one seals, all of them open.
//!
//! As text, a ring has one key a line, `ID BASE64`; blank lines and lines that begin with `#` count for nothing.

use std::{fmt, iter, sync::Arc};

use base64::{
    Engine,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use super::sealed::{self, KEY_LENGTH, OpenError, Row, SealError, Sealed};

/// The longest id of a key.
pub const MAX_ID_LENGTH: usize = 32;

/// The base64 that `openssl rand -base64 32` writes; without padding it is read too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 of a key, in characters.
const ENCODED_LENGTH: usize = KEY_LENGTH.div_ceil(3) * 4;

const HEADING: &str =
    "# One key a line: its id and 32 bytes in base64. The first one seals, all of them open.\n";

/// The name of a key: it says which one a value was sealed with, and is no secret. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(Arc<str>);

impl KeyId {
    /// Takes an id as it was stored. One that breaks the rules is in no ring.
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id by the rules: 1 to 32 lower-case letters, digits and dashes.
    fn parse(id: &str) -> Option<Self> {
        let legal = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = (1..=MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(legal);
        fits.then(|| Self::new(id))
    }

    /// A new one. It is random, so that the id of a key that is gone does not come back for another one.
    fn generate() -> Result<Self, KeyRingError> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|_| KeyRingError::Random)?;
        Ok(Self(format!("key-{}", hex::encode(random)).into()))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// A text is no key ring, or no key could be made. Never holds a part of the text: it may be a key.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum KeyRingError {
    /// A line cannot be used.
    #[error("line {line} of the key ring {problem}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it, and what to write instead.
        problem: String,
    },
    /// Nothing to seal with.
    #[error(
        "the key ring holds no key; write one line ID BASE64, with a key from `openssl rand -base64 32`"
    )]
    Empty,
    /// The system gave no random numbers.
    #[error("the system's random number generator failed")]
    Random,
}

/// One key or several, in their order. `Debug` shows their ids only. Cheap to clone.
#[derive(Clone)]
pub struct KeyRing {
    first: Key,
    others: Vec<Key>,
}

#[derive(Clone)]
struct Key {
    id: KeyId,
    secret: Arc<SecretBox<[u8; KEY_LENGTH]>>,
}

impl KeyRing {
    /// Reads a key ring.
    ///
    /// # Errors
    /// [`KeyRingError`] with the line and what to change.
    pub fn parse(text: &str) -> Result<Self, KeyRingError> {
        let mut keys: Vec<(usize, Key)> = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let wrong = |problem| KeyRingError::Line { line, problem };
            let key = Key::parse(text).map_err(wrong)?;
            if let Some((before, _)) = keys.iter().find(|(_, known)| known.id == key.id) {
                let problem = format!("has the id of line {before} again; give each key its own");
                return Err(wrong(problem));
            }
            keys.push((line, key));
        }
        let mut keys = keys.into_iter().map(|(_, key)| key);
        Ok(Self {
            first: keys.next().ok_or(KeyRingError::Empty)?,
            others: keys.collect(),
        })
    }

    /// A ring of one new key.
    ///
    /// # Errors
    /// [`KeyRingError::Random`] if the system gives no random numbers.
    pub fn generate() -> Result<Self, KeyRingError> {
        Ok(Self {
            first: Key::generate()?,
            others: Vec::new(),
        })
    }

    /// The ring with a new key in front, which seals from now on.
    ///
    /// # Errors
    /// [`KeyRingError::Random`] if the system gives no random numbers.
    pub fn with_new_primary(&self) -> Result<Self, KeyRingError> {
        let mut first = Key::generate()?;
        while self.holds(&first.id) {
            first = Key::generate()?;
        }
        Ok(Self {
            first,
            others: self.keys().cloned().collect(),
        })
    }

    /// The ring as text, to be kept where only its owner reads it.
    pub fn to_text(&self) -> SecretString {
        let line = MAX_ID_LENGTH + 1 + ENCODED_LENGTH + 1;
        // Room for all of it: grown on the way, it would leave copies of keys behind.
        let mut text = String::with_capacity(HEADING.len() + (1 + self.others.len()) * line);
        text.push_str(HEADING);
        for key in self.keys() {
            text.push_str(key.id.as_str());
            text.push(' ');
            BASE64.encode_string(key.secret.expose_secret(), &mut text);
            text.push('\n');
        }
        text.into()
    }

    /// The key that seals.
    pub fn primary(&self) -> &KeyId {
        &self.first.id
    }

    /// Every key, the one that seals first.
    pub fn ids(&self) -> impl Iterator<Item = &KeyId> {
        self.keys().map(|key| &key.id)
    }

    /// Whether a key is in the ring.
    pub fn holds(&self, id: &KeyId) -> bool {
        self.ids().any(|known| known == id)
    }

    /// Seals a text for one row with the first key.
    ///
    /// # Errors
    /// [`SealError`] if the text is too large, or the system gives no random numbers.
    pub fn seal(&self, row: Row<'_>, text: &[u8]) -> Result<Sealed, SealError> {
        let mut nonce = [0; 12];
        getrandom::fill(&mut nonce).map_err(|_| SealError::Random)?;
        Ok(Sealed {
            key: self.first.id.clone(),
            bytes: sealed::encrypt(self.first.secret.expose_secret(), nonce, row, text)?,
        })
    }

    /// The text that was sealed for this row.
    ///
    /// # Errors
    /// [`OpenError`] with what to do.
    pub fn open(&self, row: Row<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let key = self.keys().find(|key| key.id == sealed.key);
        let key = key.ok_or_else(|| OpenError::MissingKey {
            key: sealed.key.clone(),
        })?;
        sealed::decrypt(key.secret.expose_secret(), row, sealed)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        iter::once(&self.first).chain(&self.others)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing ")?;
        f.debug_list().entries(self.ids()).finish()
    }
}

impl Key {
    /// Reads a line that is no comment, and says what is wrong with it.
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let id = words.next().and_then(KeyId::parse).ok_or(
            "does not begin with an id; write ID BASE64, with an id of 1 to 32 lower-case letters, digits and dashes",
        )?;
        let encoded = words
            .next()
            .ok_or("has an id but no key; write ID BASE64")?;
        if words.next().is_some() {
            return Err(
                "has more than an id and a key; write ID BASE64, and a comment on a line of its own"
                    .to_owned(),
            );
        }
        let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len()));
        BASE64
            .decode_vec(encoded, &mut decoded)
            .map_err(|_| "has a key that is not base64; make one with `openssl rand -base64 32`")?;
        let decoded: &[u8; KEY_LENGTH] = decoded.as_slice().try_into().map_err(|_| {
            format!(
                "has a key of {} bytes, not {KEY_LENGTH}; make one with `openssl rand -base64 32`",
                decoded.len()
            )
        })?;
        Ok(Self::new(id, |secret| *secret = *decoded))
    }

    fn generate() -> Result<Self, KeyRingError> {
        let mut random = Ok(());
        let key = Self::new(KeyId::generate()?, |secret| {
            random = getrandom::fill(secret);
        });
        random.map_err(|_| KeyRingError::Random)?;
        Ok(key)
    }

    fn new(id: KeyId, fill: impl FnOnce(&mut [u8; KEY_LENGTH])) -> Self {
        let mut secret = SecretBox::new(Box::new([0; KEY_LENGTH]));
        fill(secret.expose_secret_mut());
        Self {
            id,
            secret: Arc::new(secret),
        }
    }
}

#[cfg(test)]
mod tests;
