//! Ranges: `~1.2`, `^1.2`, `1.2.*` and `1.0 - 2.0`. Each is a lower and an upper bound.

use super::super::{normalize, scan};
use super::shape::{VersionShape, version_shape};
use super::term::{INVALID_VERSION, Operator, Term};

/// What a range parser finds: `None` when the text is no such range.
type Parsed = Option<Result<Vec<Term>, &'static str>>;

/// `~1.2.3`: the last number may grow. Without a stability the bound includes its own pre-releases.
pub(super) fn tilde(text: &str) -> Parsed {
    let body = text.strip_prefix('~')?;
    let start = 1 + usize::from(body.starts_with('>'));
    let shape = version_shape(text, start, |end| scan::at_end(text, end))?;
    if start == 2 {
        return Some(Err("has the operator \"~>\": write \"~\" instead"));
    }
    let position = shape.count() + usize::from(shape.is_wildcard_dev);
    Some(from_lower_bound(
        body,
        &shape,
        position.saturating_sub(1).max(1),
    ))
}

/// `^1.2.3`: everything behind the first number that is not `0` may grow.
pub(super) fn caret(text: &str) -> Parsed {
    let body = text.strip_prefix('^')?;
    let shape = version_shape(text, 1, |end| scan::at_end(text, end))?;
    let fixed = |index: usize| shape.numbers[index] == "0" && !shape.numbers[index + 1].is_empty();
    let position = match (fixed(0), fixed(1)) {
        (false, _) => 1,
        (true, false) => 2,
        (true, true) => 3,
    };
    Some(from_lower_bound(body, &shape, position))
}

fn from_lower_bound(
    body: &str,
    shape: &VersionShape<'_>,
    position: usize,
) -> Result<Vec<Term>, &'static str> {
    let suffix = if shape.has_modifier { "" } else { "-dev" };
    let low = normalize(&format!("{body}{suffix}")).map_err(|_| INVALID_VERSION)?;
    Ok(vec![
        Term::new(Operator::GreaterOrEqual, low.as_str()),
        Term::new(Operator::Less, &bumped(shape.numbers, position)),
    ])
}

/// `1.2.*`: all that begins with these numbers. `0.*` has no lower bound.
pub(super) fn wildcard(text: &str) -> Parsed {
    if text.starts_with('V') {
        return None;
    }
    let (numbers, at) = scan::numbers(text, 0)?;
    let stars = scan::without_final_newline(&text[at..]);
    let position = numbers.iter().filter(|number| !number.is_empty()).count();
    if position > 3 || stars.is_empty() || !is_wildcards(stars) {
        return None;
    }
    let high = Term::new(Operator::Less, &bumped(numbers, position));
    let low = format!("{}-dev", padded(numbers, position));
    Some(Ok(if low == "0.0.0.0-dev" {
        vec![high]
    } else {
        vec![Term::new(Operator::GreaterOrEqual, &low), high]
    }))
}

/// `(?:\.[xX*])*`
pub(super) fn is_wildcards(text: &str) -> bool {
    text.len().is_multiple_of(2)
        && text
            .as_bytes()
            .chunks(2)
            .all(|part| matches!(part, [b'.', b'x' | b'X' | b'*']))
}

/// `1.0 - 2.0`: both ends included; a partial upper end stands for all that begins with it.
pub(super) fn hyphen(text: &str) -> Parsed {
    let bytes = text.as_bytes();
    let from = version_shape(text, 0, |end| bytes.get(end) == Some(&b' '))?;
    let hyphen = scan::skip_spaces(bytes, from.end);
    let start = scan::skip_spaces(bytes, hyphen + 1);
    if bytes.get(hyphen) != Some(&b'-') || start == hyphen + 1 {
        return None;
    }
    let to = version_shape(text, start, |end| scan::at_end(text, end))?;
    Some(between(&text[..from.end], &from, &text[start..to.end], &to))
}

fn between(
    from_text: &str,
    from: &VersionShape<'_>,
    to_text: &str,
    to: &VersionShape<'_>,
) -> Result<Vec<Term>, &'static str> {
    let low = normalize(from_text).map_err(|_| INVALID_VERSION)?;
    let suffix = if from.has_modifier { "" } else { "-dev" };
    let high = normalize(to_text).map_err(|_| INVALID_VERSION)?;
    let upper = if to.has_modifier || to.count() >= 3 {
        Term::new(Operator::LessOrEqual, high.as_str())
    } else {
        Term::new(Operator::Less, &bumped(to.numbers, to.count().clamp(1, 2)))
    };
    Ok(vec![
        Term::new(Operator::GreaterOrEqual, &format!("{low}{suffix}")),
        upper,
    ])
}

/// The first version behind all those that share the numbers up to `position` (1 to 4).
fn bumped(numbers: [&str; 4], position: usize) -> String {
    let next = increment(numbers[position - 1]);
    let mut bumped = numbers;
    bumped[position - 1] = &next;
    format!("{}-dev", padded(bumped, position))
}

/// The numbers up to `position`, the rest as zeroes.
fn padded(numbers: [&str; 4], position: usize) -> String {
    let kept = |index: usize| {
        if index < position {
            numbers[index]
        } else {
            "0"
        }
    };
    format!("{}.{}.{}.{}", kept(0), kept(1), kept(2), kept(3))
}

/// Adds one as PHP does to a string of digits: beyond 64 bits the sum is a float, written with 14
/// digits.
fn increment(digits: &str) -> String {
    if let Some(next) = digits
        .parse::<i64>()
        .ok()
        .and_then(|number| number.checked_add(1))
    {
        return next.to_string();
    }
    let sum = digits.parse::<f64>().unwrap_or(f64::INFINITY) + 1.0;
    if sum.is_infinite() {
        return "INF".to_owned();
    }
    let written = format!("{sum:.13e}");
    let (mantissa, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let mantissa = mantissa.trim_end_matches('0');
    let point = if mantissa.ends_with('.') { "0" } else { "" };
    format!("{mantissa}{point}E+{exponent}")
}
