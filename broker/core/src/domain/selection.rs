//! What is taken of the versions of a package, and of the refs of a git repository.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    metadata::{Channel, PackageVersions},
    patterns::glob,
    skipped::Skipped,
    version::Stability,
};

/// Which versions of each package are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionFilter {
    /// The least stable ones that are; `None` takes all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<Stability>,
    /// So many of the newest that are no branches; `None` takes all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retain: Option<usize>,
}

impl VersionFilter {
    /// Whether all versions are served.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Drops the versions that are not served, and says how many these are.
    pub fn apply(self, content: &mut PackageVersions) {
        let given = content.versions.len();
        if let Some(least) = self.stability {
            let versions = &mut content.versions;
            versions.retain(|version| Stability::of(version.normalized().as_str()) >= least);
            let fewer = given - versions.len();
            told(content, fewer, &format!("less stable than {least}"));
        }
        let stable_enough = content.versions.len();
        if let Some(most) = self.retain {
            let mut releases = 0;
            // They are sorted, the newest first.
            content.versions.retain(|version| {
                let is_release = version.channel() == Channel::Stable;
                releases += usize::from(is_release);
                !is_release || releases <= most
            });
            let fewer = stable_enough - content.versions.len();
            told(content, fewer, &format!("older than the newest {most}"));
        }
    }
}

/// One word for all that were left out for a reason. It comes first, so that it stays where only so many are kept.
fn told(content: &mut PackageVersions, fewer: usize, reason: &str) {
    if fewer == 0 {
        return;
    }
    let reason = format!("{fewer} {reason}, which spec.versions leaves out");
    content.skipped.insert(0, Skipped::new("versions", reason));
    content.skipped.truncate(Skipped::MAX_KEPT);
}

/// A pattern of full names of refs, such as `refs/tags/v*`: `*` stands for any run of characters, and case matters.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RefPattern(Box<str>);

impl RefPattern {
    /// Takes a pattern.
    pub fn new(pattern: &str) -> Self {
        Self(pattern.into())
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a full name matches.
    pub fn matches(&self, name: &str) -> bool {
        glob(self.0.as_bytes(), name.as_bytes())
    }
}

impl fmt::Debug for RefPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{metadata::Fields, names::PackageName};

    fn served(filter: VersionFilter) -> (Vec<String>, Vec<String>) {
        let package = PackageName::parse("acme/lib").unwrap();
        let given = [
            "1.0.0",
            "dev-main",
            "1.2.0",
            "2.0.0-RC1",
            "1.1.0",
            "2.0.0-beta1",
            "1.x-dev",
        ];
        let given = given.map(|version| {
            let fields = json!({
                "name": "acme/lib", "version": version,
                "dist": {"type": "zip", "url": "https://example.com/a.zip"},
            });
            serde_json::from_value::<Fields>(fields).unwrap()
        });
        let mut content = PackageVersions::check(&package, given.into(), Vec::new());
        filter.apply(&mut content);
        let versions = content
            .versions
            .iter()
            .map(|version| version.pretty().clone());
        let skipped = content.skipped.into_iter().map(|skipped| skipped.reason);
        (versions.collect(), skipped.collect())
    }

    #[test]
    fn all_are_taken_by_default() {
        let filter = VersionFilter::default();
        assert!(filter.is_all());
        let (versions, skipped) = served(filter);
        assert_eq!(versions.len(), 7);
        assert!(skipped.is_empty());
    }

    #[test]
    fn the_less_stable_are_left_out() {
        for (least, expected) in [
            (Stability::Stable, &["1.2.0", "1.1.0", "1.0.0"][..]),
            (Stability::RC, &["2.0.0-RC1", "1.2.0", "1.1.0", "1.0.0"]),
            (
                Stability::Alpha,
                &["2.0.0-RC1", "2.0.0-beta1", "1.2.0", "1.1.0", "1.0.0"],
            ),
        ] {
            let (versions, skipped) = served(VersionFilter {
                stability: Some(least),
                retain: None,
            });
            assert_eq!(versions, expected);
            let fewer = 7 - expected.len();
            assert_eq!(
                skipped,
                [format!(
                    "{fewer} less stable than {least}, which spec.versions leaves out"
                )]
            );
        }
    }

    #[test]
    fn the_newest_stay_and_branches_do_not_count() {
        let (versions, skipped) = served(VersionFilter {
            stability: None,
            retain: Some(2),
        });
        let mut sorted = versions;
        sorted.sort();
        assert_eq!(sorted, ["1.x-dev", "2.0.0-RC1", "2.0.0-beta1", "dev-main"]);
        assert_eq!(
            skipped,
            ["3 older than the newest 2, which spec.versions leaves out"]
        );
        let (versions, _) = served(VersionFilter {
            stability: Some(Stability::Stable),
            retain: Some(2),
        });
        assert_eq!(versions, ["1.2.0", "1.1.0"]);
    }

    #[test]
    fn refs_match_whole_and_with_their_case() {
        for (pattern, name, expected) in [
            ("refs/tags/v*", "refs/tags/v1.0.0", true),
            ("refs/tags/v*", "refs/tags/V1.0.0", false),
            ("refs/heads/main", "refs/heads/main2", false),
            ("refs/heads/release/*", "refs/heads/release/1/2", true),
        ] {
            assert_eq!(
                RefPattern::new(pattern).matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }
}
