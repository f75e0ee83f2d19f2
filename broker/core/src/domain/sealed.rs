//! Sealed values: secrets at rest, encrypted with AES-256-GCM (design rule 6).
//!
//! A sealed value belongs to one row. The row's identity is its associated data, so moved to another row it does not
//! open. Which key seals and opens is for the [key ring](super::keyring) to say.
//!
//! The bytes are the form (1), a nonce of 12 random bytes, the encrypted text, and a tag of 16 bytes.

use std::fmt;

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Nonce, Tag};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{keyring::KeyId, names::RepositoryName};

/// The length of a key, in bytes.
pub const KEY_LENGTH: usize = 32;

/// The largest text that is sealed, in bytes: twice what a Secret of Kubernetes holds.
pub const MAX_TEXT: usize = 2 << 20;

const FORM: u8 = 1;
const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;

/// The identity of a row that holds a sealed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    kind: &'static str,
    name: &'a str,
}

impl<'a> Row<'a> {
    /// The row `name` of a kind. Kinds are never renamed: what they sealed would not open any more.
    pub const fn new(kind: &'static str, name: &'a str) -> Self {
        Self { kind, name }
    }

    /// The credentials of a declared repository.
    pub fn credentials_of(repository: &'a RepositoryName) -> Self {
        Self::new("repository-credentials", repository.as_str())
    }

    /// The form, then kind and name, each after its length: no two rows have the same.
    fn associated_data(self) -> Vec<u8> {
        let mut data = vec![FORM];
        for part in [self.kind, self.name] {
            data.extend((part.len() as u64).to_be_bytes());
            data.extend(part.as_bytes());
        }
        data
    }
}

/// A secret that only the key of this id opens, in the row it was sealed for.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The key it was sealed with.
    pub key: KeyId,
    /// What is stored of it.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes sealed with key {:?}",
            self.bytes.len(),
            self.key
        )
    }
}

/// A text could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// The system gave no random numbers.
    #[error("the system's random number generator failed")]
    Random,
    /// More than anybody's credentials.
    #[error(
        "it has {0} bytes, more than the {MAX_TEXT} that are sealed; leave out what is no credential"
    )]
    TooLarge(usize),
}

/// A sealed value does not open.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The key is not at hand.
    #[error(
        "it was sealed with key \"{key}\", which is not in the key ring; put that key back into the ring, or set the \
         credentials again"
    )]
    MissingKey {
        /// The id of the key.
        key: KeyId,
    },
    /// The key is at hand, but not this value's.
    #[error(
        "it does not open with key \"{key}\": another key is in the ring under that id, or the value was damaged or \
         comes from another row; put the right key into the ring, or set the credentials again"
    )]
    Refused {
        /// The id of the key.
        key: KeyId,
    },
    /// Not what this program seals.
    #[error(
        "it is sealed in a form that this release does not know; use the release that sealed it, or set the \
         credentials again"
    )]
    Form,
}

/// Encrypts a text for one row, under a nonce that was never used with the key before.
pub(super) fn encrypt(
    key: &[u8; KEY_LENGTH],
    nonce: [u8; NONCE_LENGTH],
    row: Row<'_>,
    text: &[u8],
) -> Result<Vec<u8>, SealError> {
    let too_large = || SealError::TooLarge(text.len());
    if text.len() > MAX_TEXT {
        return Err(too_large());
    }
    let start = 1 + NONCE_LENGTH;
    // Room for all of it: grown on the way, it would leave a copy of the text behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(start + text.len() + TAG_LENGTH));
    bytes.push(FORM);
    bytes.extend(nonce);
    bytes.extend(text);
    let (_, body) = bytes.split_at_mut(start);
    let tag = Aes256Gcm::new(key.into())
        .encrypt_inout_detached(&Nonce::from(nonce), &row.associated_data(), body.into())
        .map_err(|_| too_large())?;
    bytes.extend(tag);
    Ok(std::mem::take(&mut *bytes))
}

/// The text of a sealed value.
pub(super) fn decrypt(
    key: &[u8; KEY_LENGTH],
    row: Row<'_>,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, OpenError> {
    let rest = sealed.bytes.strip_prefix(&[FORM]).ok_or(OpenError::Form)?;
    let (nonce, rest) = rest
        .split_first_chunk::<NONCE_LENGTH>()
        .ok_or(OpenError::Form)?;
    let (body, tag) = rest
        .split_last_chunk::<TAG_LENGTH>()
        .ok_or(OpenError::Form)?;
    let mut text = Zeroizing::new(body.to_vec());
    Aes256Gcm::new(key.into())
        .decrypt_inout_detached(
            &Nonce::from(*nonce),
            &row.associated_data(),
            text.as_mut_slice().into(),
            &Tag::from(*tag),
        )
        .map_err(|_| OpenError::Refused {
            key: sealed.key.clone(),
        })?;
    Ok(text)
}

#[cfg(test)]
mod tests;
