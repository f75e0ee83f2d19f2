//! The version inside a range: `v?(\d++)(?:\.(\d++))?{3}(?:modifier|\.([xX*][.-]?dev))(?:\+[^\s]+)?`.

use super::super::scan;

/// What a range needs to know about a version it contains.
pub(super) struct VersionShape<'a> {
    /// Up to four numbers; absent ones are empty.
    pub(super) numbers: [&'a str; 4],
    /// A stability word or a `-dev` suffix, also of `.x-dev`, makes the bound exact.
    pub(super) has_modifier: bool,
    /// `.x-dev` in place of the next number.
    pub(super) is_wildcard_dev: bool,
    pub(super) end: usize,
}

impl VersionShape<'_> {
    /// How many numbers were written.
    pub(super) fn count(&self) -> usize {
        self.numbers
            .iter()
            .filter(|number| !number.is_empty())
            .count()
    }
}

/// Scans a version from `start` that ends where `follows` holds.
pub(super) fn version_shape(
    text: &str,
    start: usize,
    follows: impl Fn(usize) -> bool,
) -> Option<VersionShape<'_>> {
    let (numbers, at) = scan::numbers(text, start)?;
    let modifier = scan::modifier(text, at);
    let end = skip_build(text.as_bytes(), modifier.end);
    if follows(end) {
        let has_modifier = modifier.keyword.is_some() || modifier.dev;
        return Some(VersionShape {
            numbers,
            has_modifier,
            is_wildcard_dev: false,
            end,
        });
    }
    let end = skip_build(text.as_bytes(), wildcard_dev_end(text, at)?);
    follows(end).then_some(VersionShape {
        numbers,
        has_modifier: true,
        is_wildcard_dev: true,
        end,
    })
}

/// `\.[xX*][.-]?dev`
fn wildcard_dev_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if !matches!(bytes.get(at..at + 2), Some([b'.', b'x' | b'X' | b'*'])) {
        return None;
    }
    let word = at + 2 + usize::from(matches!(bytes.get(at + 2), Some(b'.' | b'-')));
    scan::starts_with_ignore_case(text, word, "dev").then_some(word + 3)
}

/// `(?:\+[^\s]+)?`
fn skip_build(bytes: &[u8], at: usize) -> usize {
    if bytes.get(at) != Some(&b'+') {
        return at;
    }
    let end = scan::skip_while(bytes, at + 1, |byte| !scan::is_space(byte));
    if end == at + 1 { at } else { end }
}
