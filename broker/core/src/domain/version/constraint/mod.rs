//! Constraints: which versions a `require`, a `conflict` or a scope allows.

mod parse;
mod range;
mod shape;
mod term;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use self::term::{Operator, Term};
use super::{NormalizedVersion, is_branch, version_compare};

/// A parsed constraint: alternatives (`||`), each a list of terms that must all hold.
///
/// Accepts, refuses and matches exactly what `Composer\Semver` 3 does, its oddities included: a
/// hyphen range wants single spaces around its hyphen, alternatives that touch are joined before
/// they are matched, and a named branch (`dev-…`) satisfies only its own name, `*`, and `!=`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Constraint {
    pretty: Box<str>,
    alternatives: Vec<Vec<Term>>,
}

/// Why a text is no constraint that Composer would load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid version constraint {constraint:?}: {part:?} {reason}")]
pub struct ConstraintError {
    /// The whole constraint.
    pub constraint: String,
    /// The part of it that is wrong.
    pub part: String,
    /// What is wrong with it, and what to write.
    pub reason: &'static str,
}

impl Constraint {
    /// Parses a constraint as `VersionParser::parseConstraints`.
    ///
    /// `@stability` flags, `#references` and inline aliases (`x as y`) are read past as Composer's
    /// loader does; `self.version` is the caller's to replace.
    ///
    /// # Errors
    /// [`ConstraintError`] when Composer would refuse it.
    pub fn parse(constraint: &str) -> Result<Self, ConstraintError> {
        parse::alternatives(constraint).map(|alternatives| Self {
            pretty: constraint.into(),
            alternatives,
        })
    }

    /// Whether a version satisfies this constraint, as `Composer\Semver\Semver::satisfies`.
    pub fn matches(&self, version: &NormalizedVersion) -> bool {
        self.alternatives
            .iter()
            .any(|terms| terms.iter().all(|term| term.matches(version.as_str())))
    }

    /// The constraint as it was written.
    pub fn as_str(&self) -> &str {
        &self.pretty
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pretty)
    }
}

impl FromStr for Constraint {
    type Err = ConstraintError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// Whether Composer would accept a constraint. The forms that nearly all packages use are decided
/// without building anything.
pub fn is_valid_constraint(constraint: &str) -> bool {
    parse::is_common(constraint) || parse::alternatives(constraint).is_ok()
}

impl Term {
    fn matches(&self, version: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Compare {
                operator,
                version: bound,
            } => operator.holds(version, bound),
        }
    }
}

impl Operator {
    /// Whether `left OP right`. Branches have no order: they are the same or they are not.
    fn holds(self, left: &str, right: &str) -> bool {
        match (is_branch(left), is_branch(right)) {
            (false, false) => self.allows(version_compare(left, right)),
            (true, true) if self == Self::Equal => left == right,
            _ => self == Self::NotEqual && left != right,
        }
    }

    const fn allows(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}
