//! A whole installation as its manifests describe it: the one value that a change of manifests replaces.

use std::{cmp::Reverse, sync::Arc};

use super::{
    metadata::DistUrls,
    names::RepositoryName,
    patterns::{NamePattern, any_matches},
    quota::Quota,
    repository::Repository,
};

/// The bounds of what is fetched, kept and answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest archive, in bytes.
    pub max_archive_size: u64,
    /// How many repositories are synced at once.
    pub max_concurrent: usize,
    /// How many packages of one repository are read at once.
    pub packages_per_repository: usize,
    /// The requests that one client address may make; nothing means any number.
    pub per_address: Option<Quota>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_archive_size: 512 << 20,
            max_concurrent: 4,
            packages_per_repository: 4,
            per_address: None,
        }
    }
}

/// What runs: repositories in the order of precedence, and the names that belong to them.
#[derive(Clone, Debug)]
pub struct Installation {
    urls: DistUrls,
    repositories: Vec<Arc<Repository>>,
    claims: Vec<NamePattern>,
    limits: Limits,
    declared: Option<i64>,
}

impl Installation {
    /// Orders the repositories: private before public, then by priority, then by name. Claims are `owned` and the
    /// `include` patterns of every private repository (design rule 2).
    pub fn new(
        external_url: &str,
        mut repositories: Vec<Repository>,
        owned: Vec<NamePattern>,
        limits: Limits,
    ) -> Self {
        repositories.sort_by_cached_key(|repository| {
            (
                repository.public,
                Reverse(repository.priority),
                repository.name.clone(),
            )
        });
        let mut claims = owned;
        for repository in repositories.iter().filter(|repository| !repository.public) {
            claims.extend(repository.filter.include.iter().cloned());
        }
        claims.sort();
        claims.dedup();
        let repositories = repositories.into_iter().map(Arc::new).collect();
        Self {
            urls: DistUrls::new(external_url),
            repositories,
            claims,
            limits,
            declared: None,
        }
    }

    /// Itself, as the one that was declared in the database at this revision.
    #[must_use]
    pub fn declared_at(mut self, revision: i64) -> Self {
        self.declared = Some(revision);
        self
    }

    /// The revision at which this was declared in the database, if it was.
    pub fn declared(&self) -> Option<i64> {
        self.declared
    }

    /// Takes over the repositories of `before` whose settings stand, so that they are known to be the same.
    #[must_use]
    pub fn keeping(mut self, before: &Self) -> Self {
        for repository in &mut self.repositories {
            if let Some(same) = before
                .repositories
                .iter()
                .find(|known| known.same_as(repository))
            {
                *repository = Arc::clone(same);
            }
        }
        self
    }

    /// The addresses of archives, and the public URL.
    pub fn urls(&self) -> &DistUrls {
        &self.urls
    }

    /// The repositories, the one that owns a shared name first.
    pub fn repositories(&self) -> &[Arc<Repository>] {
        &self.repositories
    }

    /// One repository by name.
    pub fn repository(&self, name: &RepositoryName) -> Option<&Arc<Repository>> {
        self.repositories
            .iter()
            .find(|repository| repository.name == *name)
    }

    /// The patterns that are ours: never asked of a public repository, answered with an empty list when absent.
    pub fn claims(&self) -> &[NamePattern] {
        &self.claims
    }

    /// Whether a lower-case name is ours whether or not we have it.
    pub fn claimed(&self, name: &str) -> bool {
        any_matches(&self.claims, name)
    }

    /// The bounds.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether a repository may be asked for a name at all.
    pub fn may_ask(&self, repository: &Repository, name: &str) -> bool {
        repository.filter.accepts(name) && !(repository.public && self.claimed(name))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::{
        cadence::Cadence,
        patterns::NameFilter,
        repository::{BucketAccess, Credentials, SourceKind},
        selection::VersionFilter,
    };

    fn repository(name: &str, priority: i32, include: &[&str], public: bool) -> Repository {
        Repository {
            name: RepositoryName::new(name),
            kind: SourceKind::Composer,
            url: String::new(),
            priority,
            filter: NameFilter {
                include: include.iter().map(|p| NamePattern::new(p)).collect(),
                exclude: vec![],
            },
            versions: VersionFilter::default(),
            mode: None,
            cadence: Cadence::Every(Duration::from_mins(1)),
            timeout: Duration::from_mins(1),
            path: None,
            refs: Vec::new(),
            bucket: BucketAccess::default(),
            credentials: Credentials::default(),
            webhook: None,
            public,
            suspended: false,
            retained: false,
        }
    }

    #[test]
    fn private_comes_before_public_then_priority_then_name() {
        let repositories = vec![
            repository("mirror", 100, &[], true),
            repository("b", 0, &[], false),
            repository("a", 0, &[], false),
            repository("z", 5, &[], false),
        ];
        let installation = Installation::new("https://h/", repositories, vec![], Limits::default());
        let order: Vec<&str> = installation
            .repositories()
            .iter()
            .map(|r| r.name.as_str())
            .collect();
        assert_eq!(order, ["z", "a", "b", "mirror"]);
    }

    #[test]
    fn claimed_names_are_never_asked_of_a_public_repository() {
        let repositories = vec![
            repository("team", 0, &["acme/*"], false),
            repository("mirror", 0, &[], true),
        ];
        let owned = vec![NamePattern::new("globex/*")];
        let installation = Installation::new("https://h", repositories, owned, Limits::default());
        let [team, mirror] = installation.repositories() else {
            panic!("two repositories")
        };
        assert!(installation.may_ask(team, "acme/lib"));
        assert!(!installation.may_ask(mirror, "acme/lib"));
        assert!(!installation.may_ask(mirror, "globex/lib"));
        assert!(installation.may_ask(mirror, "monolog/monolog"));
        assert!(!installation.may_ask(team, "monolog/monolog"));
    }
}
