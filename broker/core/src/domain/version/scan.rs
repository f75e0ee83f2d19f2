//! The pieces that Composer's regular expressions are made of, as scanners over bytes.
//!
//! They keep two habits of those expressions: `\s` and `\d` are ASCII only, and `$` also matches
//! before a newline that ends the text.

/// The stability words that may follow the numbers of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    Stable,
    Beta,
    Rc,
    Alpha,
    Patch,
}

/// Longer spellings first, as the words must be tried.
const KEYWORDS: [(&str, Keyword); 9] = [
    ("stable", Keyword::Stable),
    ("beta", Keyword::Beta),
    ("b", Keyword::Beta),
    ("rc", Keyword::Rc),
    ("alpha", Keyword::Alpha),
    ("a", Keyword::Alpha),
    ("patch", Keyword::Patch),
    ("pl", Keyword::Patch),
    ("p", Keyword::Patch),
];

impl Keyword {
    /// The spelling that Composer normalises to.
    pub(super) const fn expanded(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Beta => "beta",
            Self::Rc => "RC",
            Self::Alpha => "alpha",
            Self::Patch => "patch",
        }
    }
}

/// What follows the numbers: `[._-]?(keyword(numbers)?)?([.-]?dev)?`. Every part is optional, so a
/// scan always succeeds and `end` tells how far it came.
pub(super) struct Modifier<'a> {
    pub(super) keyword: Option<Keyword>,
    /// The keyword in the case in which it was written.
    pub(super) keyword_text: &'a str,
    /// The numbers behind the keyword, with their separators: `.2`, `-1.3`, `5`.
    pub(super) numbers: &'a str,
    pub(super) dev: bool,
    pub(super) end: usize,
}

/// Scans a modifier from `start`, which must be a character boundary.
pub(super) fn modifier(text: &str, start: usize) -> Modifier<'_> {
    let bytes = text.as_bytes();
    let separated = matches!(bytes.get(start), Some(b'.' | b'_' | b'-'));
    let word = start + usize::from(separated);
    let found = match bytes.get(word) {
        Some(first) if first.is_ascii_alphabetic() => KEYWORDS
            .iter()
            .find(|(spelling, _)| starts_with_ignore_case(text, word, spelling)),
        _ => None,
    };
    let after_word = word + found.map_or(0, |(spelling, _)| spelling.len());
    let mut end = after_word;
    if found.is_some() {
        while let Some(next) = separated_digits(bytes, end) {
            end = next;
        }
    }
    let numbers = &text[after_word..end];
    let dev_at = end + usize::from(matches!(bytes.get(end), Some(b'.' | b'-')));
    let dev = starts_with_ignore_case(text, dev_at, "dev");
    Modifier {
        keyword: found.map(|(_, keyword)| *keyword),
        keyword_text: &text[word..after_word],
        numbers,
        dev,
        end: if dev { dev_at + 3 } else { end },
    }
}

/// `[.-]?\d+` at `at`: where it ends.
fn separated_digits(bytes: &[u8], at: usize) -> Option<usize> {
    let first = at + usize::from(matches!(bytes.get(at), Some(b'.' | b'-')));
    let end = skip_digits(bytes, first);
    (end > first).then_some(end)
}

/// `v?` and up to four numbers separated by dots; absent ones are empty. Returns where they end.
pub(super) fn numbers(text: &str, start: usize) -> Option<([&str; 4], usize)> {
    let bytes = text.as_bytes();
    let mut at = skip_v(bytes, start);
    let mut found = [""; 4];
    for (index, slot) in found.iter_mut().enumerate() {
        let first = if index == 0 {
            at
        } else if bytes.get(at) == Some(&b'.') {
            at + 1
        } else {
            break;
        };
        let end = skip_digits(bytes, first);
        if end == first {
            break;
        }
        *slot = &text[first..end];
        at = end;
    }
    (!found[0].is_empty()).then_some((found, at))
}

/// The index after a `v` or `V` at `at`, if there is one.
pub(super) fn skip_v(bytes: &[u8], at: usize) -> usize {
    at + usize::from(matches!(bytes.get(at), Some(b'v' | b'V')))
}

/// The index of the first byte from `at` on that is no ASCII digit.
pub(super) fn skip_digits(bytes: &[u8], at: usize) -> usize {
    skip_while(bytes, at, |byte| byte.is_ascii_digit())
}

/// The index of the first byte from `at` on that is no space.
pub(super) fn skip_spaces(bytes: &[u8], at: usize) -> usize {
    skip_while(bytes, at, |byte| byte == b' ')
}

pub(super) fn skip_while(bytes: &[u8], at: usize, keep: impl Fn(u8) -> bool) -> usize {
    bytes.get(at..).map_or(at, |rest| {
        at + rest
            .iter()
            .position(|&byte| !keep(byte))
            .unwrap_or(rest.len())
    })
}

/// `$`: the end of the text, or the newline that ends it.
pub(super) fn at_end(text: &str, at: usize) -> bool {
    at == text.len() || (at + 1 == text.len() && text.ends_with('\n'))
}

/// The text up to where `$` first matches.
pub(super) fn without_final_newline(text: &str) -> &str {
    text.strip_suffix('\n').unwrap_or(text)
}

/// The part of a text that an expression without line breaks can reach from its end.
pub(super) fn last_line(text: &str) -> &str {
    let text = without_final_newline(text);
    text.rsplit_once('\n').map_or(text, |(_, line)| line)
}

/// `\s`.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// `[,\s]`.
pub(super) const fn is_space_or_comma(byte: u8) -> bool {
    byte == b',' || is_space(byte)
}

pub(super) fn starts_with_ignore_case(text: &str, at: usize, prefix: &str) -> bool {
    text.as_bytes()
        .get(at..at + prefix.len())
        .is_some_and(|found| found.eq_ignore_ascii_case(prefix.as_bytes()))
}

/// PHP's `trim`.
pub(super) fn php_trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r', '\x0b', '\0'])
}

/// Drops the alias of an inline `x as y`.
pub(super) fn strip_alias(text: &str) -> &str {
    let bytes = without_final_newline(text).as_bytes();
    let end = skip_while(bytes, 0, |byte| !is_space_or_comma(byte));
    let word = skip_spaces(bytes, end);
    let after_word = word + 2;
    let target = skip_spaces(bytes, after_word);
    let is_alias = end > 0
        && word > end
        && bytes.get(word..after_word) == Some(b"as")
        && target > after_word
        && target < bytes.len()
        && !bytes[target..].iter().copied().any(is_space_or_comma);
    if is_alias { &text[..end] } else { text }
}

/// Splits a stability flag off the end: `1.0@beta` is `("1.0", "beta")`.
pub(super) fn split_stability_flag(text: &str) -> Option<(&str, &str)> {
    const FLAGS: [&str; 5] = ["stable", "RC", "beta", "alpha", "dev"];
    let (version, flag) = text.rsplit_once('@')?;
    FLAGS
        .iter()
        .any(|known| flag.eq_ignore_ascii_case(known))
        .then_some((version, flag))
}
