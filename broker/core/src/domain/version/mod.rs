//! Versions, branches, tags and constraints, exactly as Composer's own parser reads them.
//!
//! One entry that a client cannot parse breaks the whole package for everyone (protocol A.3), so
//! the broker must give every version and constraint the verdict that the client will give it.
//! The rules are those of `composer/semver` 3 (protocol A.13); the scanners are written by hand
//! because a first sync runs them hundreds of thousands of times. The integration tests run them
//! side by side with the PHP code.

mod branch;
mod compare;
mod constraint;
mod normalize;
mod scan;
mod stability;
mod tag;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use branch::{
    BranchVersion, DEFAULT_BRANCH_ALIAS, branch_version, checked_branch_version, normalize_branch,
    valid_branch_alias,
};
pub use compare::version_compare;
pub use constraint::{Constraint, ConstraintError, is_valid_constraint};
pub use normalize::normalize;
pub use stability::Stability;
pub use tag::{TagVersion, strip_release_prefix, tag_version};

/// A version in Composer's normalised form: `1.2.3.0`, `1.0.0.0-beta2`, `2.1.9999999.9999999-dev`,
/// `dev-main`. It is what `version_normalized` holds.
///
/// The order is the one of Composer's `Comparator` (oldest first; reverse it for newest first),
/// completed to a total order: branches (`dev-…`) come below every number and among themselves by
/// name, and versions that Composer takes for equal (`1.0.0.0`, `01.0.0.0`) by their text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NormalizedVersion(Box<str>);

impl NormalizedVersion {
    /// Takes a text that is known to be normalised, such as one this type was stored as.
    /// Anything else belongs to [`normalize`].
    pub fn from_normalized(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The normalised text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How stable Composer takes this version to be.
    pub fn stability(&self) -> Stability {
        Stability::of(&self.0)
    }

    /// Whether this is a development version: a branch, or a version with a `-dev` suffix.
    /// These belong into the `~dev` document (protocol A.3).
    pub fn is_dev(&self) -> bool {
        self.is_branch() || self.0.ends_with("-dev")
    }

    /// Whether this is a named branch (`dev-…`), which has no place among the numbers.
    pub fn is_branch(&self) -> bool {
        is_branch(&self.0)
    }
}

impl fmt::Display for NormalizedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for NormalizedVersion {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Ord for NormalizedVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_version = match (self.is_branch(), other.is_branch()) {
            (true, true) => Ordering::Equal,
            _ => version_compare(&self.0, &other.0),
        };
        by_version.then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for NormalizedVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Why a text is not a version that Composer would load.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// The text is no version at all.
    #[error(
        "invalid version {0:?}: expected numbers such as 1.2.3, 1.0.0-beta2 or 2.x-dev, or dev-<branch>"
    )]
    Invalid(String),
    /// A tag named a development version, which only a branch can be.
    #[error(
        "invalid tag {0:?}: a tag cannot name a dev version, drop its dev- prefix or -dev suffix"
    )]
    DevTag(String),
    /// The `version` in composer.json and the tag it was read at disagree.
    #[error(
        "composer.json declares version {declared:?} but the tag says {tag:?}: drop the version field or correct it"
    )]
    TagMismatch {
        /// The tag as written.
        tag: String,
        /// The version as composer.json declares it.
        declared: String,
    },
    /// A branch name holds characters that no constraint could name.
    #[error(
        "branch {0:?} cannot be a version: its name has characters that mean something in a constraint"
    )]
    Branch(String),
    /// A `branch-alias` that Composer would ignore.
    #[error("branch-alias {alias:?} of {branch:?} is not usable: {reason}")]
    Alias {
        /// The version of the branch that carries the alias.
        branch: String,
        /// The alias as written.
        alias: String,
        /// What the alias would have to be.
        reason: &'static str,
    },
}

fn is_branch(normalized: &str) -> bool {
    normalized.starts_with("dev-")
}
