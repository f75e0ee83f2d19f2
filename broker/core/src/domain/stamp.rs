//! `Last-Modified` as a logical clock.
//!
//! Clients know one validator: the `Last-Modified` string, sent back byte for byte and kept across tokens
//! (protocol A.5). So equal strings must mean equal bytes, whoever asks. Two kinds of stamps see to that:
//!
//! - a *document stamp* moves when the content of one package document does;
//! - a *unique stamp* is given once in the life of an installation: to a token when its scope changes, to a
//!   root file each time its bytes change, to "absent" each time a name disappears.
//!
//! Each kind is always later than everything the other kind was given before, so the later of a document's and a
//! token's stamp names exactly one content, and grows whenever either changes.

use serde::{Deserialize, Serialize};

/// A second since the Unix epoch, used as an HTTP date.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Stamp(pub i64);

impl Stamp {
    /// The present second of the machine's clock.
    pub fn now() -> Self {
        Self(jiff::Timestamp::now().as_second())
    }

    /// As an HTTP date, for instance `Tue, 24 Nov 2026 10:00:00 GMT` (RFC 9110, 5.6.7).
    pub fn http_date(self) -> HttpDate {
        let time = jiff::Timestamp::from_second(self.0).unwrap_or_default();
        let text = time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        // Only years beyond 9999 would be longer, and there are none.
        text.as_bytes().try_into().unwrap_or(*EPOCH)
    }
}

/// The text of a date in HTTP, whose length is fixed.
pub type HttpDate = [u8; 29];

const EPOCH: &HttpDate = b"Thu, 01 Jan 1970 00:00:00 GMT";

/// The last stamps given, as the database keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StampClock {
    /// The latest document stamp of any document.
    pub document: Stamp,
    /// The latest unique stamp.
    pub unique: Stamp,
}

impl StampClock {
    /// The next stamp of a document whose last one was `previous`.
    ///
    /// Documents changed in the same second share a stamp; one document never gets the same twice, also when the
    /// machine's clock steps back.
    pub fn next_document(&mut self, now: Stamp, previous: Option<Stamp>) -> Stamp {
        let after_previous = previous.map_or(i64::MIN, |stamp| stamp.0 + 1);
        let stamp = Stamp(now.0.max(after_previous).max(self.unique.0 + 1));
        self.document = self.document.max(stamp);
        stamp
    }

    /// A stamp never given before and never again.
    pub fn next_unique(&mut self, now: Stamp) -> Stamp {
        let stamp = Stamp(now.0.max(self.unique.0 + 1).max(self.document.0 + 1));
        self.unique = stamp;
        stamp
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_date_has_the_fixed_form() {
        assert_eq!(
            &Stamp(784_111_777).http_date(),
            b"Sun, 06 Nov 1994 08:49:37 GMT"
        );
        assert_eq!(&Stamp(i64::MAX).http_date(), EPOCH);
    }

    #[test]
    fn documents_grow_even_if_the_clock_steps_back() {
        let mut clock = StampClock::default();
        let first = clock.next_document(Stamp(100), None);
        let second = clock.next_document(Stamp(50), Some(first));
        assert_eq!((first, second), (Stamp(100), Stamp(101)));
    }

    #[test]
    fn documents_of_one_second_share_a_stamp() {
        let mut clock = StampClock::default();
        assert_eq!(
            clock.next_document(Stamp(100), None),
            clock.next_document(Stamp(100), Some(Stamp(7)))
        );
    }

    #[test]
    fn unique_stamps_are_apart_from_all_others() {
        let mut clock = StampClock::default();
        let document = clock.next_document(Stamp(100), None);
        let unique = clock.next_unique(Stamp(100));
        let other = clock.next_unique(Stamp(90));
        let later = clock.next_document(Stamp(100), None);
        assert_eq!(
            (document, unique, other, later),
            (Stamp(100), Stamp(101), Stamp(102), Stamp(103))
        );
    }
}
