//! One term of a constraint.

use super::super::scan::{self, Keyword};
use super::super::{NormalizedVersion, Stability, normalize};
use super::range;

pub(super) const INVALID_VERSION: &str =
    "has no valid version: write numbers such as 1.2.3, or dev-<branch>";
const INVALID_TERM: &str =
    "is no constraint: write ^1.2, ~1.2, >=1.0, 1.2.*, 1.0 - 2.0 or dev-<branch>";

/// How a version is compared with a bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// The operators as written, longer ones before those they begin with.
const OPERATORS: [(&str, Operator); 8] = [
    ("<>", Operator::NotEqual),
    ("!=", Operator::NotEqual),
    (">=", Operator::GreaterOrEqual),
    (">", Operator::Greater),
    ("<=", Operator::LessOrEqual),
    ("<", Operator::Less),
    ("==", Operator::Equal),
    ("=", Operator::Equal),
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Term {
    /// `*`
    Any,
    /// An operator and a normalised version, or one with a suffix that makes it a bound.
    Compare {
        operator: Operator,
        version: Box<str>,
    },
}

impl Term {
    pub(super) fn new(operator: Operator, version: &str) -> Self {
        Self::Compare {
            operator,
            version: version.into(),
        }
    }
}

/// Parses one term; a range gives two. The error says what is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Term>, &'static str> {
    let text = scan::strip_alias(text);
    let (text, stability) = strip_stability_flag(text);
    let text = strip_reference(text);
    if let Some(term) = any_version(text) {
        return Ok(vec![term]);
    }
    range::tilde(text)
        .or_else(|| range::caret(text))
        .or_else(|| range::wildcard(text))
        .or_else(|| range::hyphen(text))
        .unwrap_or_else(|| comparison(text, stability).map(|term| vec![term]))
}

/// Takes `@flag` off a term without spaces. A flag alone stands for any version, and `@stable` for
/// no flag.
fn strip_stability_flag(text: &str) -> (&str, Option<&str>) {
    match scan::split_stability_flag(scan::without_final_newline(text)) {
        Some((version, flag)) if !version.bytes().any(scan::is_space_or_comma) => (
            if version.is_empty() { "*" } else { version },
            (flag != "stable").then_some(flag),
        ),
        _ => (text, None),
    }
}

/// Takes `#reference` off a branch: `^(dev-[^,\s@]+?|[^,\s@]+?\.x-dev)#.+$`.
fn strip_reference(text: &str) -> &str {
    const WILDCARD_BRANCH: &str = ".x-dev";
    let body = scan::without_final_newline(text);
    let is_named = scan::starts_with_ignore_case(text, 0, "dev-");
    let reference = body.match_indices('#').map(|(at, _)| at).find(|&at| {
        let is_branch = is_named && at > "dev-".len()
            || at.checked_sub(WILDCARD_BRANCH.len()).is_some_and(|start| {
                start > 0 && scan::starts_with_ignore_case(text, start, WILDCARD_BRANCH)
            });
        is_branch && is_one_line(&body[at + 1..])
    });
    match reference {
        Some(at)
            if !body[..at]
                .bytes()
                .any(|byte| byte == b'@' || scan::is_space_or_comma(byte)) =>
        {
            &body[..at]
        }
        _ => text,
    }
}

/// `.+` up to the end.
fn is_one_line(text: &str) -> bool {
    !text.is_empty() && !text.contains('\n')
}

/// `^(v)?[xX*](\.[xX*])*$`: `*` allows everything, and any longer form all but named branches.
fn any_version(text: &str) -> Option<Term> {
    let body = scan::without_final_newline(text);
    let stars = body.strip_prefix(['v', 'V']).unwrap_or(body);
    let rest = stars.strip_prefix(['x', 'X', '*'])?;
    if !range::is_wildcards(rest) {
        return None;
    }
    Some(if body.len() == 1 {
        Term::Any
    } else {
        Term::new(Operator::GreaterOrEqual, "0.0.0.0-dev")
    })
}

/// `>=1.0`: an operator, or none for `=`, and a version.
fn comparison(text: &str, stability: Option<&str>) -> Result<Term, &'static str> {
    let found = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((text.strip_prefix(sign)?, *operator)));
    let (rest, operator) = found.unwrap_or((text, Operator::Equal));
    let rest = &rest[scan::skip_while(rest.as_bytes(), 0, scan::is_space)..];
    let written = rest.split_once('\n').map_or(rest, |(line, _)| line);
    let Some(version) = version_or_branch(written) else {
        return Err(if found.is_some() {
            INVALID_VERSION
        } else {
            INVALID_TERM
        });
    };
    let suffix = bound_suffix(operator, written, version.as_str(), stability);
    Ok(match suffix {
        Some(suffix) => Term::new(operator, &format!("{version}-{suffix}")),
        None => Term::new(operator, version.as_str()),
    })
}

/// A version, or `name-dev` for the branch `dev-name`.
fn version_or_branch(text: &str) -> Option<NormalizedVersion> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'/');
    normalize(text).ok().or_else(|| {
        let name = text
            .strip_suffix("-dev")
            .filter(|_| text.bytes().all(is_name))?;
        normalize(&format!("dev-{name}")).ok()
    })
}

/// What a bound gets behind its version: the stability that a flag names, else `dev` where the
/// pre-releases of the version must fall on the same side as the version.
fn bound_suffix<'a>(
    operator: Operator,
    written: &str,
    version: &str,
    stability: Option<&'a str>,
) -> Option<&'a str> {
    if stability.is_some()
        && operator != Operator::Equal
        && Stability::of(version) == Stability::Stable
    {
        return stability;
    }
    let is_half_open = matches!(operator, Operator::Less | Operator::GreaterOrEqual);
    (is_half_open && !ends_with_modifier(written) && !written.starts_with("dev-")).then_some("dev")
}

/// Whether a version ends in `-` and a modifier. Composer lower-cases the version but not its own
/// `RC` before it looks, so it never finds a release candidate: `>=1.0-RC1` is `>=1.0-RC1-dev`.
fn ends_with_modifier(written: &str) -> bool {
    written
        .match_indices('-')
        .map(|(at, _)| scan::modifier(written, at + 1))
        .any(|modifier| modifier.end == written.len() && modifier.keyword != Some(Keyword::Rc))
}
