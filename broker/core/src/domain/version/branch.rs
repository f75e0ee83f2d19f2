//! Versions that come from branch names, and the aliases that branches may declare.

use super::constraint::Constraint;
use super::{NormalizedVersion, VersionError, is_branch, scan};

/// The version that the default branch also answers to (protocol A.12, `default-branch`).
pub const DEFAULT_BRANCH_ALIAS: &str = "9999999-dev";

/// What stands for `x` in a normalised branch.
const WILDCARD: &str = "9999999";

/// Both forms of the version that a branch gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchVersion {
    /// For people and for `version`: `2.1.x-dev`, `dev-main`.
    pub pretty: String,
    /// For comparisons and for `version_normalized`: `2.1.9999999.9999999-dev`, `dev-main`.
    pub normalized: NormalizedVersion,
}

/// Normalises a branch name exactly as `VersionParser::normalizeBranch`: a numeric name (`1`,
/// `v2.1`, `2.x`, `2.1.*`) is filled up with `9999999`, any other gets the prefix `dev-`.
pub fn normalize_branch(name: &str) -> NormalizedVersion {
    let name = scan::php_trim(name);
    let normalized = numeric_branch(name).unwrap_or_else(|| format!("dev-{name}"));
    NormalizedVersion::from_normalized(normalized)
}

/// The version that Composer's own VCS repository gives a branch (protocol A.13): `2.1` is
/// `2.1.x-dev`, `feature/x` is `dev-feature/x`. A `#` would start a reference in a constraint and
/// becomes `+`.
pub fn branch_version(name: &str) -> BranchVersion {
    let normalized = normalize_branch(name);
    if is_branch(normalized.as_str()) {
        return BranchVersion {
            pretty: format!("dev-{}", name.replace('#', "+")),
            normalized: NormalizedVersion::from_normalized(normalized.as_str().replace('#', "+")),
        };
    }
    let prefix = if name.starts_with('v') { "v" } else { "" };
    BranchVersion {
        pretty: format!("{prefix}{}", collapse_wildcards(normalized.as_str())),
        normalized,
    }
}

/// [`branch_version`], for a branch that a client can name in a constraint.
///
/// # Errors
/// [`VersionError::Branch`] when it could not: Composer skips such a branch.
pub fn checked_branch_version(name: &str) -> Result<BranchVersion, VersionError> {
    Constraint::parse(normalize_branch(name).as_str())
        .map(|_| branch_version(name))
        .map_err(|_| VersionError::Branch(name.to_owned()))
}

/// Checks one entry of `extra.branch-alias`, as `ArrayLoader::getBranchAlias` does, and returns the
/// alias normalised. `source_branch_version` is the pretty version of the branch (`dev-main`,
/// `2.x-dev`), which the caller has found to be the key of the entry, ignoring case.
///
/// # Errors
/// [`VersionError::Alias`] when the branch is no dev version, or the alias does not end in `-dev`,
/// is not numeric, or leaves the range of a numeric branch (`2.x-dev` cannot be `3.0-dev`).
pub fn valid_branch_alias(
    source_branch_version: &str,
    alias: &str,
) -> Result<NormalizedVersion, VersionError> {
    let refuse = |reason| VersionError::Alias {
        branch: source_branch_version.to_owned(),
        alias: alias.to_owned(),
        reason,
    };
    if !is_branch(source_branch_version) && !source_branch_version.ends_with("-dev") {
        return Err(refuse("only a dev version can have an alias"));
    }
    let Some(target) = alias.strip_suffix("-dev") else {
        return Err(refuse("it must end in -dev, like 2.1.x-dev"));
    };
    let normalized = if alias == DEFAULT_BRANCH_ALIAS {
        NormalizedVersion::from_normalized(alias)
    } else {
        normalize_branch(target)
    };
    if !normalized.as_str().ends_with("-dev") {
        return Err(refuse("it must be a number with -dev, like 2.1.x-dev"));
    }
    match (numeric_prefix(source_branch_version), numeric_prefix(alias)) {
        (Some(branch), Some(target)) if !within(target, branch) => {
            Err(refuse("it must be a sub-version of the numeric branch"))
        }
        _ => Ok(normalized),
    }
}

/// A branch made of one to four numbers or wildcards, filled up; `None` for any other name.
pub(super) fn numeric_branch(name: &str) -> Option<String> {
    let name = scan::php_trim(name);
    let bytes = name.as_bytes();
    let start = scan::skip_v(bytes, 0);
    let mut at = scan::skip_digits(bytes, start);
    if at == start {
        return None;
    }
    let mut normalized = String::with_capacity(name.len() + 3 * WILDCARD.len() + 8);
    normalized.push_str(&name[start..at]);
    for _ in 1..4 {
        normalized.push('.');
        let part = at + 1;
        match bytes.get(at).and(bytes.get(part)) {
            _ if at == bytes.len() => normalized.push_str(WILDCARD),
            Some(b'x' | b'X' | b'*') if bytes[at] == b'.' => {
                normalized.push_str(WILDCARD);
                at = part + 1;
            }
            Some(digit) if bytes[at] == b'.' && digit.is_ascii_digit() => {
                at = scan::skip_digits(bytes, part);
                normalized.push_str(&name[part..at]);
            }
            _ => return None,
        }
    }
    normalized.push_str("-dev");
    (at == bytes.len()).then_some(normalized)
}

/// Writes each run of `.9999999` as one `.x`.
fn collapse_wildcards(normalized: &str) -> String {
    let mut pretty = String::with_capacity(normalized.len());
    let mut collapsing = false;
    let mut rest = normalized;
    while let Some(next) = rest.chars().next() {
        if let Some(after) = rest
            .strip_prefix('.')
            .and_then(|rest| rest.strip_prefix(WILDCARD))
        {
            if !collapsing {
                pretty.push_str(".x");
            }
            collapsing = true;
            rest = after;
        } else {
            collapsing = false;
            pretty.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    pretty
}

/// The numbers of `2.1.x-dev` or `2.1-dev`, as `parseNumericAliasPrefix`; `None` for other names.
fn numeric_prefix(version: &str) -> Option<&str> {
    let numbers = version.strip_suffix("-dev")?;
    let numbers = numbers
        .strip_suffix(".x")
        .or_else(|| numbers.strip_suffix(".X"))
        .unwrap_or(numbers);
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    numbers.split('.').all(numeric).then_some(numbers)
}

/// Whether the numbers of an alias begin with all the numbers of the branch.
fn within(alias: &str, branch: &str) -> bool {
    alias
        .strip_prefix(branch)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}
