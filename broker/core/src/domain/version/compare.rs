//! PHP's `version_compare`, which Composer compares normalised versions with.

use std::cmp::Ordering;

/// Where the end of a version ranks: above every pre-release word, below any further number.
const END: u64 = 5;
const FIRST_NUMBER: u64 = END + 1;
/// PHP knows its patch words by their first letter.
const PATCH: u64 = u64::MAX;

/// Compares two normalised versions as PHP's `version_compare`, oldest first.
///
/// `Equal` does not mean the same text: leading zeros do not count, nor does the spelling of a
/// word beyond its kind. Named branches (`dev-…`) are below all numbers and equal to each other up
/// to their numbers; Composer itself never orders two of them.
pub fn version_compare(left: &str, right: &str) -> Ordering {
    ranks(left).cmp(ranks(right))
}

/// The elements of a version as numbers whose order is PHP's: unknown word, dev, alpha, beta, RC,
/// end, number, patch.
fn ranks(version: &str) -> impl Iterator<Item = u64> {
    Elements {
        bytes: version.as_bytes(),
        at: 0,
    }
    .map(rank)
    .chain(std::iter::once(END))
}

fn rank(element: &[u8]) -> u64 {
    match element {
        [b'0'..=b'9', ..] => FIRST_NUMBER + number(element),
        [b'd', b'e', b'v', ..] => 1,
        [b'a', ..] => 2,
        [b'b', ..] => 3,
        [b'R', b'C', ..] | [b'r', b'c', ..] => 4,
        [b'p', ..] => PATCH,
        _ => 0,
    }
}

/// PHP reads numbers into a signed long and stops at its largest value.
fn number(digits: &[u8]) -> u64 {
    const MAX: u64 = i64::MAX as u64;
    digits.iter().fold(0_u64, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u64::from(digit - b'0'))
            .min(MAX)
    })
}

/// Cuts a version where PHP's canonical form has its dots: at every character that is neither
/// letter nor digit, and between letters and digits.
struct Elements<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.bytes.get(self.at..)?;
        let start = self.at + rest.iter().position(u8::is_ascii_alphanumeric)?;
        let numeric = self.bytes[start].is_ascii_digit();
        let same_kind =
            |byte: &u8| byte.is_ascii_alphanumeric() && byte.is_ascii_digit() == numeric;
        let length = self.bytes[start..]
            .iter()
            .take_while(|byte| same_kind(byte))
            .count();
        self.at = start + length;
        Some(&self.bytes[start..self.at])
    }
}
