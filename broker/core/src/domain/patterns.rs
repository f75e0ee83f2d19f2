//! Composer's package name patterns: `*` stands for any run of characters, case does not matter.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One pattern such as `acme/*`, `*-plugin/*` or an exact name.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct NamePattern(Box<str>);

impl NamePattern {
    /// Takes a pattern; case is folded.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.to_ascii_lowercase().into())
    }

    /// The pattern as text, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the pattern is one exact name.
    pub fn is_exact(&self) -> bool {
        !self.0.contains('*')
    }

    /// Whether a lower-case name matches.
    pub fn matches(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }

    /// Whether some text matches both patterns.
    pub fn overlaps(&self, other: &Self) -> bool {
        overlap(self.0.as_bytes(), other.0.as_bytes())
    }
}

/// Iterative glob match: on a mismatch, go back to the last star and let it take one more byte.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(t) {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&wanted) if wanted == byte => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|&byte| byte == b'*')
}

/// Whether two globs have a common match: a table of which pairs of prefixes can meet.
fn overlap(a: &[u8], b: &[u8]) -> bool {
    // row[j]: the first i bytes of `a` and the first j bytes of `b` can match the same text.
    let mut row = vec![false; b.len() + 1];
    for i in 0..=a.len() {
        let mut next = vec![false; b.len() + 1];
        for j in 0..=b.len() {
            let last_a = i.checked_sub(1).and_then(|at| a.get(at));
            let last_b = j.checked_sub(1).and_then(|at| b.get(at));
            next[j] = match (last_a, last_b) {
                (None, None) => true,
                (Some(b'*'), _) if row[j] => true,
                (_, Some(b'*')) if next[j - 1] => true,
                (Some(b'*'), Some(_)) => next[j - 1],
                (Some(_), Some(b'*')) => row[j],
                (Some(x), Some(y)) => x == y && row[j - 1],
                _ => false,
            };
        }
        row = next;
    }
    row[b.len()]
}

impl fmt::Debug for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<String> for NamePattern {
    fn from(pattern: String) -> Self {
        Self::new(&pattern)
    }
}

impl From<NamePattern> for String {
    fn from(pattern: NamePattern) -> Self {
        pattern.0.into()
    }
}

/// What a repository takes from its source: `include` (empty means everything) less `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameFilter {
    /// Patterns to take; empty means every name.
    pub include: Vec<NamePattern>,
    /// Patterns to leave out, also where `include` names them.
    pub exclude: Vec<NamePattern>,
}

impl NameFilter {
    /// Whether a lower-case name passes.
    pub fn accepts(&self, name: &str) -> bool {
        (self.include.is_empty() || any_matches(&self.include, name))
            && !any_matches(&self.exclude, name)
    }
}

/// Whether one of the patterns matches a lower-case name.
pub fn any_matches(patterns: &[NamePattern], name: &str) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_match_any_run() {
        for (pattern, name, expected) in [
            ("acme/*", "acme/lib", true),
            ("acme/*", "acme-x/lib", false),
            ("*/lib", "acme/lib", true),
            ("ACME/Lib", "acme/lib", true),
            ("*", "acme/lib", true),
            ("a*e/l*b", "acme/lib", true),
            ("acme/l*b*", "acme/libs", true),
            ("acme/lib", "acme/lib2", false),
        ] {
            assert_eq!(
                NamePattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn overlap_finds_a_common_name() {
        for (a, b, expected) in [
            ("acme/*", "acme/lib", true),
            ("acme/*", "*/lib", true),
            ("acme/*", "other/*", false),
            ("*", "x/y", true),
            ("a*/x", "*b/x", true),
            ("a*/x", "a*/y", false),
            ("acme/lib", "acme/lib", true),
            ("acme/lib", "acme/lib2", false),
            ("a*c", "ab", false),
        ] {
            assert_eq!(
                NamePattern::new(a).overlaps(&NamePattern::new(b)),
                expected,
                "{a} {b}"
            );
            assert_eq!(
                NamePattern::new(b).overlaps(&NamePattern::new(a)),
                expected,
                "{b} {a}"
            );
        }
    }
}
