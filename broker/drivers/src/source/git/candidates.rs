//! Which tags and branches may become versions, by their names alone (protocol B.1).

use std::collections::HashMap;

use package_broker_core::domain::{
    skipped::Skipped,
    version::{NormalizedVersion, TagVersion, checked_branch_version, tag_version},
};

use super::refs::{HEADS, RemoteRefs, TAGS, Target};

/// Starts of branch names that programs make and nobody requires (protocol A.15). The default branch is never one.
const BOT_BRANCHES: [&str; 12] = [
    "renovate/",
    "dependabot/",
    "depfu/",
    "greenkeeper/",
    "snyk-",
    "gh-readonly-queue/",
    "mergify/",
    "bors/",
    "all-contributors/",
    "imgbot",
    "pre-commit-ci-update-config",
    "gh-pages",
];

/// Whether a branch is left out because a program made it.
fn is_bot_branch(name: &str) -> bool {
    BOT_BRANCHES.iter().any(|start| name.starts_with(start))
}

/// A tag or branch that may become a version.
pub(super) struct Candidate {
    /// What people know it by: the tag's name, or the version of the branch.
    pub(super) label: String,
    /// Its version by the name alone.
    pub(super) version: TagVersion,
    /// Where it is.
    pub(super) target: Target,
    /// What it is.
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A tag.
    Tag,
    /// A branch.
    Branch,
    /// The branch that `HEAD` names.
    DefaultBranch,
}

impl Candidate {
    fn repeats(self, first: &str) -> Skipped {
        let reason = format!("\"{first}\" means the same version and came first");
        Skipped::new(self.label, reason).at(self.target.peeled.to_string())
    }
}

/// Sorts out by name alone: what is a version, and which of two that mean the same comes first.
pub(super) fn candidates(refs: &RemoteRefs, skipped: &mut Vec<Skipped>) -> Vec<Candidate> {
    let default = refs.default_branch().map(|(name, _)| name);
    let mut seen: HashMap<NormalizedVersion, String> = HashMap::new();
    let mut found = Vec::with_capacity(refs.refs.len());
    let tags = refs.tags().map(|(name, target)| tag(name, target));
    let branches = refs
        .branches()
        .filter_map(|(name, target)| branch(name, target, default));
    for judged in tags.chain(branches) {
        match judged {
            Ok(candidate) => {
                if let Some(first) = seen.get(&candidate.version.normalized) {
                    skipped.push(candidate.repeats(first));
                    continue;
                }
                seen.insert(
                    candidate.version.normalized.clone(),
                    candidate.label.clone(),
                );
                found.push(candidate);
            }
            Err(reason) => skipped.push(reason),
        }
    }
    found
}

fn tag(name: &str, target: Target) -> Result<Candidate, Skipped> {
    let label = name.strip_prefix(TAGS).unwrap_or(name).to_owned();
    match tag_version(&label) {
        Ok(version) => Ok(Candidate {
            label,
            version,
            target,
            kind: Kind::Tag,
        }),
        Err(error) => Err(Skipped::new(label, error.to_string()).at(target.peeled.to_string())),
    }
}

fn branch(name: &str, target: Target, default: Option<&str>) -> Option<Result<Candidate, Skipped>> {
    let kind = if default == Some(name) {
        Kind::DefaultBranch
    } else {
        Kind::Branch
    };
    let short = name.strip_prefix(HEADS).unwrap_or(name);
    if kind == Kind::Branch && is_bot_branch(short) {
        return None;
    }
    Some(match checked_branch_version(short) {
        Ok(branch) => {
            let version = TagVersion {
                pretty: branch.pretty,
                normalized: branch.normalized,
            };
            Ok(Candidate {
                label: version.pretty.clone(),
                version,
                target,
                kind,
            })
        }
        Err(error) => {
            Err(Skipped::new(format!("dev-{short}"), error.to_string())
                .at(target.peeled.to_string()))
        }
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use gix::ObjectId;

    use super::*;

    fn refs(names: &[&str]) -> RemoteRefs {
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let target = Target { id, peeled: id };
        RemoteRefs {
            head: Some("refs/heads/main".to_owned()),
            refs: names
                .iter()
                .map(|name| ((*name).to_owned(), target))
                .collect(),
        }
    }

    #[test]
    fn names_alone_sort_out_most() {
        let mut skipped = Vec::new();
        let found = candidates(
            &refs(&[
                "refs/heads/2.x",
                "refs/heads/2",
                "refs/heads/main",
                "refs/heads/feature/a#b",
                "refs/heads/renovate/all",
                "refs/heads/dependabot/npm/x",
                "refs/heads/gh-pages",
                "refs/tags/1.0.0",
                "refs/tags/v1.0",
                "refs/tags/release-2.0.0",
                "refs/tags/nightly",
                "refs/tags/3.0.x-dev",
            ]),
            &mut skipped,
        );
        let labels: Vec<_> = found
            .iter()
            .map(|found| (found.label.as_str(), found.version.pretty.as_str()))
            .collect();
        assert_eq!(
            labels,
            [
                ("1.0.0", "1.0.0"),
                ("release-2.0.0", "2.0.0"),
                ("2.x-dev", "2.x-dev"),
                ("dev-feature/a+b", "dev-feature/a+b"),
                ("dev-main", "dev-main"),
            ]
        );
        let reasons: HashSet<_> = skipped
            .iter()
            .map(|skipped| skipped.version.as_str())
            .collect();
        assert_eq!(
            reasons,
            HashSet::from(["v1.0", "nightly", "3.0.x-dev", "2.x-dev"])
        );
        assert!(skipped.iter().all(|skipped| skipped.reference.is_some()));
    }

    #[test]
    fn the_default_branch_is_never_taken_for_a_bot() {
        let mut refs = refs(&["refs/heads/gh-pages"]);
        refs.head = Some("refs/heads/gh-pages".to_owned());
        assert_eq!(candidates(&refs, &mut Vec::new()).len(), 1);
    }
}
