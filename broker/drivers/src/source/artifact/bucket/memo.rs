//! What objects were found to be, so that none is fetched twice.
//!
//! A survey fetches every new object, and its reader then wants their metadata. Between them lies what this remembers
//! within a bound; and a sync that was ended half-way goes on from it, for the state of a survey is only kept when
//! everything read from it was stored.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::ObjectStamp;
use crate::source::artifact::state::Identity;

/// The most compressed metadata that is kept, in bytes: that of some thousand packages.
const MAX_TEXT: usize = 4 << 20;

/// What was seen by the last survey and by the one before it.
#[derive(Default)]
pub(super) struct Memo(Mutex<Generations>);

#[derive(Default)]
struct Generations {
    /// By path.
    now: HashMap<String, Seen>,
    before: HashMap<String, Seen>,
    text_size: usize,
}

struct Seen {
    stamp: ObjectStamp,
    identity: Identity,
    /// Its composer.json, compressed.
    text: Option<Vec<u8>>,
}

impl Memo {
    /// A new survey begins: what the last one did not use is forgotten.
    pub(super) fn turn_over(&self) {
        let mut memo = self.lock();
        memo.before = std::mem::take(&mut memo.now);
        memo.text_size = memo.before.values().map(Seen::text_size).sum();
    }

    /// What an object was found to be.
    pub(super) fn identity(&self, path: &str, stamp: &ObjectStamp) -> Option<Identity> {
        let mut memo = self.lock();
        let seen = memo.before.remove(path)?;
        if seen.stamp != *stamp {
            memo.text_size -= seen.text_size();
            return None;
        }
        let identity = seen.identity.clone();
        memo.now.insert(path.to_owned(), seen);
        Some(identity)
    }

    /// Remembers an object, and the compressed text of its composer.json while there is room.
    pub(super) fn keep(
        &self,
        path: &str,
        stamp: &ObjectStamp,
        identity: &Identity,
        text: Option<Vec<u8>>,
    ) {
        let mut memo = self.lock();
        let room = MAX_TEXT.saturating_sub(memo.text_size);
        let seen = Seen {
            stamp: stamp.clone(),
            identity: identity.clone(),
            text: text.filter(|text| text.len() <= room),
        };
        memo.text_size += seen.text_size();
        if let Some(old) = memo.now.insert(path.to_owned(), seen) {
            memo.text_size -= old.text_size();
        }
    }

    /// The text of an object's composer.json, which is wanted once.
    pub(super) fn take_text(&self, path: &str, stamp: &ObjectStamp) -> Option<Vec<u8>> {
        let mut memo = self.lock();
        let seen = memo.now.get_mut(path).filter(|seen| seen.stamp == *stamp)?;
        let text = seen.text.take()?;
        memo.text_size -= text.len();
        drop(memo);
        // Our own compression, of a text that was within its bound.
        zstd::decode_all(text.as_slice()).ok()
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn text_size(&self) -> usize {
        self.text.as_ref().map_or(0, Vec::len)
    }
}

/// Compresses a text for [`Memo::keep`].
pub(super) fn compress(text: &[u8]) -> Option<Vec<u8>> {
    zstd::encode_all(text, zstd::DEFAULT_COMPRESSION_LEVEL).ok()
}

#[cfg(test)]
mod tests {
    use package_broker_core::domain::{names::PackageName, version};
    use rusty_s3::actions::list_objects_v2::ListObjectsContent;

    use super::*;

    fn stamp(etag: &str) -> ObjectStamp {
        ObjectStamp::of(&ListObjectsContent {
            etag: Some(etag.to_owned()),
            key: String::new(),
            last_modified: None,
            owner: None,
            size: Some(1),
            storage_class: None,
        })
    }

    fn identity() -> Identity {
        Identity {
            name: PackageName::parse("acme/lib").unwrap(),
            version: version::normalize("1.0").unwrap(),
            sha1: "aa".to_owned(),
        }
    }

    #[test]
    fn what_a_survey_did_not_use_is_forgotten() {
        let (memo, stamp) = (Memo::default(), stamp("a"));
        memo.turn_over();
        memo.keep("a.zip", &stamp, &identity(), compress(b"{}"));
        memo.turn_over();
        assert_eq!(memo.identity("a.zip", &self::stamp("b")), None);
        assert_eq!(memo.identity("a.zip", &stamp), None);
        memo.keep("a.zip", &stamp, &identity(), compress(b"{}"));
        memo.turn_over();
        assert_eq!(memo.identity("a.zip", &stamp), Some(identity()));
        assert_eq!(memo.take_text("a.zip", &stamp).as_deref(), Some(&b"{}"[..]));
        assert_eq!(memo.take_text("a.zip", &stamp), None);
        memo.turn_over();
        memo.turn_over();
        assert_eq!(memo.identity("a.zip", &stamp), None);
        assert_eq!(memo.lock().text_size, 0);
    }

    #[test]
    fn texts_are_kept_while_there_is_room() {
        let (memo, stamp) = (Memo::default(), stamp("a"));
        let third = vec![7; MAX_TEXT / 3];
        for path in ["a", "b", "c", "d", "a"] {
            memo.keep(path, &stamp, &identity(), Some(third.clone()));
        }
        assert!(memo.lock().text_size <= MAX_TEXT);
        let has_text = |path: &str| memo.lock().now[path].text.is_some();
        assert_eq!(["b", "c", "d"].map(has_text), [true, true, false]);
        memo.keep("b", &stamp, &identity(), None);
        memo.keep("d", &stamp, &identity(), Some(third));
        assert!(has_text("d"));
    }
}
