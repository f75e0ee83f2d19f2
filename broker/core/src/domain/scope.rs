//! What a token may read, and the view of the registry that follows from it.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    names::RepositoryName,
    patterns::{NamePattern, any_matches},
};

/// The packages a token may read. Both lists empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Patterns of package names; empty means every name.
    #[serde(default)]
    pub packages: Vec<NamePattern>,
    /// Names of repositories; empty means every repository, and the public mirror.
    #[serde(default)]
    pub repositories: Vec<RepositoryName>,
}

impl Scope {
    /// Sorted and without repeats, so that equal scopes are equal values.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.packages.sort();
        self.packages.dedup();
        self.repositories.sort();
        self.repositories.dedup();
        self
    }

    /// Whether everything may be read.
    pub fn is_unrestricted(&self) -> bool {
        self.packages.is_empty() && self.repositories.is_empty()
    }

    /// Whether a lower-case name is within the scope, whoever owns it.
    pub fn covers_name(&self, name: &str) -> bool {
        self.packages.is_empty() || any_matches(&self.packages, name)
    }

    /// Whether packages of a repository are within the scope.
    pub fn covers_repository(&self, repository: &RepositoryName) -> bool {
        self.repositories.is_empty() || self.repositories.contains(repository)
    }

    /// Whether a package may be read.
    pub fn covers(&self, name: &str, owner: &RepositoryName) -> bool {
        self.covers_repository(owner) && self.covers_name(name)
    }

    /// Whether some name within the scope could match the pattern.
    pub fn touches(&self, pattern: &NamePattern) -> bool {
        self.packages.is_empty() || self.packages.iter().any(|own| own.overlaps(pattern))
    }

    /// The identity of the view: tokens with equal scopes see the same bytes.
    pub fn view(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        for pattern in &self.packages {
            hash.update(pattern.as_str());
            hash.update([0]);
        }
        hash.update([1]);
        for repository in &self.repositories {
            hash.update(repository.as_str());
            hash.update([0]);
        }
        hash.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(packages: &[&str], repositories: &[&str]) -> Scope {
        Scope {
            packages: packages.iter().map(|text| NamePattern::new(text)).collect(),
            repositories: repositories
                .iter()
                .map(|text| RepositoryName::new(text))
                .collect(),
        }
        .normalized()
    }

    #[test]
    fn both_limits_hold_together() {
        let team = RepositoryName::new("team");
        let other = RepositoryName::new("other");
        let both = scope(&["acme/*"], &["team"]);
        assert!(both.covers("acme/lib", &team));
        assert!(!both.covers("acme/lib", &other));
        assert!(!both.covers("globex/lib", &team));
        assert!(scope(&[], &[]).covers("any/thing", &other));
    }

    #[test]
    fn equal_scopes_are_one_view() {
        assert_eq!(
            scope(&["b/*", "a/*"], &["x"]).view(),
            scope(&["a/*", "b/*", "a/*"], &["x"]).view()
        );
        assert_ne!(scope(&["a/*"], &[]).view(), scope(&[], &["a/*"]).view());
        assert_ne!(scope(&["a/*"], &[]).view(), scope(&[], &[]).view());
    }
}
