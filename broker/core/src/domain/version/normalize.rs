//! From a version as people write it to the one form that can be compared.

use super::branch::numeric_branch;
use super::scan::{self, Keyword, Modifier};
use super::{NormalizedVersion, VersionError};

/// Composer reads at most this many digits in the first number, so that dates are not taken for
/// major versions.
const MAX_MAJOR_DIGITS: usize = 5;

/// Normalises a version exactly as `Composer\Semver\VersionParser::normalize` (protocol A.13).
///
/// `1.2` becomes `1.2.0.0`, `v1.0-b2` becomes `1.0.0.0-beta2`, `2010-01-02` becomes `2010.01.02`,
/// `2.x-dev` becomes `2.9999999.9999999.9999999-dev`, and `dev-main` stays. An alias (`x as y`), a
/// stability flag (`@beta`) and build metadata (`+build`) are dropped. Even its oddities are kept:
/// an upper-case `-STABLE` stays as `-stable`, which sorts below everything else of that number.
///
/// # Errors
/// [`VersionError::Invalid`] when Composer would refuse the version.
pub fn normalize(version: &str) -> Result<NormalizedVersion, VersionError> {
    let trimmed = scan::php_trim(version);
    // Nothing that the steps below strip can stand in such a version: the common case is done.
    if let Some(done) = classical(trimmed) {
        return Ok(NormalizedVersion::from_normalized(done));
    }
    let text = scan::strip_alias(trimmed);
    let text = scan::split_stability_flag(text).map_or(text, |(version, _)| version);
    if matches!(text, "master" | "trunk" | "default") {
        return Ok(NormalizedVersion::from_normalized(format!("dev-{text}")));
    }
    if scan::starts_with_ignore_case(text, 0, "dev-") {
        return Ok(NormalizedVersion::from_normalized(format!(
            "dev-{}",
            &text[4..]
        )));
    }
    let text = strip_build_metadata(text);
    classical(text)
        .or_else(|| dated(text))
        .or_else(|| dev_suffixed_branch(text))
        .map(NormalizedVersion::from_normalized)
        .ok_or_else(|| VersionError::Invalid(trimmed.to_owned()))
}

/// `1.0+build.5` is `1.0`.
fn strip_build_metadata(text: &str) -> &str {
    match scan::without_final_newline(text).split_once('+') {
        Some((version, build))
            if !version.is_empty()
                && !build.is_empty()
                && !version.bytes().any(scan::is_space_or_comma)
                && !build.bytes().any(scan::is_space) =>
        {
            version
        }
        _ => text,
    }
}

/// One to four numbers and a modifier.
fn classical(text: &str) -> Option<String> {
    let (numbers, end) = scan::numbers(text, 0)?;
    if numbers[0].len() > MAX_MAJOR_DIGITS {
        return None;
    }
    let modifier = scan::modifier(text, end);
    if !scan::at_end(text, modifier.end) {
        return None;
    }
    let mut normalized = String::with_capacity(text.len() + 12);
    normalized.push_str(numbers[0]);
    for number in &numbers[1..] {
        normalized.push('.');
        normalized.push_str(if number.is_empty() { "0" } else { number });
    }
    push_modifier(&mut normalized, &modifier);
    Some(normalized)
}

/// A date, with or without a time, and a modifier: `20100102`, `2010-01-02.15:30`.
fn dated(text: &str) -> Option<String> {
    let start = scan::skip_v(text.as_bytes(), 0);
    let end = start + date_length(&text.as_bytes()[start..])?;
    let modifier = scan::modifier(text, end);
    if !scan::at_end(text, modifier.end) {
        return None;
    }
    let mut normalized = text[start..end].replace([':', '-'], ".");
    push_modifier(&mut normalized, &modifier);
    Some(normalized)
}

/// The length of `\d{4}([.:-]?\d{2}){1,6}([.:-]?\d{1,3})?` at the start, when no digit is left
/// behind it: what follows a date cannot begin with one.
fn date_length(bytes: &[u8]) -> Option<usize> {
    const YEAR: usize = 4;
    if scan::skip_digits(bytes, 0) < YEAR {
        return None;
    }
    let mut at = YEAR;
    let mut pairs = 0;
    loop {
        let end = scan::skip_digits(bytes, at);
        let digits = end - at;
        let continues = matches!(bytes.get(end), Some(b'.' | b':' | b'-'))
            && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !continues {
            return ends_a_date(pairs, digits).then_some(end);
        }
        if !digits.is_multiple_of(2) {
            return None;
        }
        pairs += digits / 2;
        at = end + 1;
    }
}

/// Whether the last run of digits can be split into pairs and a rest of at most three digits, so
/// that there are one to six pairs in all.
fn ends_a_date(pairs: usize, digits: usize) -> bool {
    let rests = if digits.is_multiple_of(2) {
        [0, 2]
    } else {
        [1, 3]
    };
    rests
        .iter()
        .filter_map(|rest| digits.checked_sub(*rest))
        .any(|paired| (1..=6).contains(&(pairs + paired / 2)))
}

fn push_modifier(normalized: &mut String, modifier: &Modifier<'_>) {
    if let Some(keyword) = modifier.keyword {
        // Only the lower-case word is dropped, and what follows it with it.
        if keyword == Keyword::Stable && modifier.keyword_text == "stable" {
            return;
        }
        normalized.push('-');
        normalized.push_str(keyword.expanded());
        normalized.push_str(modifier.numbers.trim_start_matches(['.', '-']));
    }
    if modifier.dev {
        normalized.push_str("-dev");
    }
}

/// `2.x-dev`: a numeric branch with its suffix. A named branch needs the prefix instead.
fn dev_suffixed_branch(text: &str) -> Option<String> {
    let line = scan::last_line(text);
    let at = line.len().checked_sub(3)?;
    if !scan::starts_with_ignore_case(line, at, "dev") {
        return None;
    }
    let branch = &line[..at];
    numeric_branch(branch.strip_suffix(['.', '-']).unwrap_or(branch))
}
