//! Cutting a constraint into alternatives and terms.

use super::super::scan;
use super::ConstraintError;
use super::term::{self, Operator, Term};

/// Parses a whole constraint into alternatives of terms.
pub(super) fn alternatives(constraint: &str) -> Result<Vec<Vec<Term>>, ConstraintError> {
    let mut alternatives = Vec::with_capacity(1);
    for alternative in split_alternatives(constraint) {
        let mut terms = Vec::with_capacity(2);
        for part in Conjuncts::of(alternative) {
            terms.extend(term::parse(part).map_err(|reason| ConstraintError {
                constraint: constraint.to_owned(),
                part: part.to_owned(),
                reason,
            })?);
        }
        push_joined(&mut alternatives, terms);
    }
    Ok(alternatives)
}

/// Whether a constraint has one of the common forms: alternatives of numbers with `^`, `~` or a
/// comparison before them or a wildcard behind them. All of these are valid.
pub(super) fn is_common(constraint: &str) -> bool {
    !constraint.is_empty() && split_alternatives(constraint).all(is_common_term)
}

fn is_common_term(term: &str) -> bool {
    if term == "*" {
        return true;
    }
    let digits = ["^", "~", ">=", "<=", ">", "<", "="]
        .iter()
        .find_map(|operator| term.strip_prefix(operator));
    let numbers = match digits {
        Some(digits) => digits,
        None => term.strip_suffix(".*").unwrap_or(term),
    };
    let most = if numbers.len() < term.len() && digits.is_none() {
        3
    } else {
        4
    };
    let short = |number: &str| {
        (1..=5).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    numbers
        .split('.')
        .enumerate()
        .all(|(index, number)| index < most && short(number))
}

/// Splits at `\s*\|\|?\s*`.
fn split_alternatives(constraint: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(scan::php_trim(constraint));
    std::iter::from_fn(move || {
        let text = rest?;
        let Some((alternative, after)) = text.split_once('|') else {
            return rest.take();
        };
        let after = after.strip_prefix('|').unwrap_or(after);
        rest = Some(after.trim_start_matches(is_space));
        Some(alternative.trim_end_matches(is_space))
    })
}

fn is_space(c: char) -> bool {
    u8::try_from(c).is_ok_and(scan::is_space)
}

/// Composer joins alternatives that touch, `>=1 <2 || >=2 <3`, into one, `>=1 <3`. For odd ranges
/// this changes what they match, so it is done here as well.
fn push_joined(alternatives: &mut Vec<Vec<Term>>, terms: Vec<Term>) {
    if let Some(
        [
            Term::Compare {
                operator: Operator::GreaterOrEqual,
                ..
            },
            last,
        ],
    ) = alternatives.last_mut().map(Vec::as_mut_slice)
        && let Term::Compare {
            operator: Operator::Less,
            version: end,
        } = last
        && let [
            Term::Compare {
                operator: Operator::GreaterOrEqual,
                version: start,
            },
            upper,
        ] = terms.as_slice()
        && matches!(
            upper,
            Term::Compare {
                operator: Operator::Less | Operator::LessOrEqual,
                ..
            }
        )
        && end == start
    {
        *last = upper.clone();
    } else {
        alternatives.push(terms);
    }
}

/// The terms of one alternative, split at commas and spaces as
/// `(?<!^|as|[=>< ,]) *(?<!-)[, ](?!-) *(?!,|as|$)` does.
struct Conjuncts<'a> {
    text: &'a str,
    /// Where the next term begins; `None` after the last.
    start: Option<usize>,
}

impl<'a> Conjuncts<'a> {
    const fn of(text: &'a str) -> Self {
        Self {
            text,
            start: Some(0),
        }
    }
}

impl<'a> Iterator for Conjuncts<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let start = self.start.take()?;
        let separator =
            (start..self.text.len()).find_map(|at| Some((at, separator_end(self.text, at)?)));
        let Some((at, end)) = separator else {
            return Some(&self.text[start..]);
        };
        self.start = Some(end);
        Some(&self.text[start..at])
    }
}

/// Where the separator that begins at `at` ends. Shorter runs of spaces are tried when the longest
/// does not fit, as the expression would.
fn separator_end(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    if !matches!(bytes[at], b' ' | b',') || !may_precede_separator(&bytes[..at]) {
        return None;
    }
    (at..=scan::skip_spaces(bytes, at)).rev().find_map(|mark| {
        let marked = matches!(bytes.get(mark), Some(b' ' | b','));
        if !marked || bytes[mark - 1] == b'-' || bytes.get(mark + 1) == Some(&b'-') {
            return None;
        }
        let longest = scan::skip_spaces(bytes, mark + 1);
        (mark + 1..=longest)
            .rev()
            .find(|&end| may_follow_separator(text, end))
    })
}

fn may_precede_separator(before: &[u8]) -> bool {
    !matches!(
        before,
        [] | [.., b'a', b's'] | [.., b'=' | b'>' | b'<' | b' ' | b',']
    )
}

fn may_follow_separator(text: &str, end: usize) -> bool {
    let after = &text.as_bytes()[end..];
    !after.starts_with(b",") && !after.starts_with(b"as") && !scan::at_end(text, end)
}
