//! A remote with its mirror: what the remote is now, and what we have of it.

use std::{path::Path, sync::Arc, time::Duration};

use package_broker_core::{
    domain::{
        metadata::PackageVersions,
        names::{PackageName, RepositoryName},
        repository::Repository,
    },
    ports::source::{Reading, SourceError},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    address::Address,
    manifest,
    mirror::{Mirror, Trouble},
    refs::{HEADS, RemoteRefs},
    remote::Remote,
    session::{self, Session},
    transport::{Access, KeyFolder},
    versions::{self, Package},
};
use crate::source::http::{Fetcher, Network};

/// Counts up when the same commits are read into other versions than before.
const READING: u32 = 1;

/// A remote, its mirror, and what to read of it.
pub(super) struct Upstream {
    name: RepositoryName,
    /// How it is reached.
    pub(super) access: Access,
    /// What we have of it.
    pub(super) mirror: Mirror,
    /// The folder of `composer.json`; `None` for the top.
    pub(super) path: Option<String>,
    timeout: Duration,
    /// A digest of what besides the refs decides what is read.
    settings: String,
}

/// The remote at one moment.
#[derive(Clone)]
pub(super) struct Moment {
    refs: Arc<RemoteRefs>,
    /// What is kept of it.
    pub(super) state: State,
}

/// What is kept of a moment until the next survey.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// Settings and refs, in short.
    pub(super) validator: String,
    /// The package.
    pub(super) name: PackageName,
}

/// The folder of `composer.json`, relative and without ornaments; `None` for the top.
fn clean_path(path: &str) -> Result<Option<String>, SourceError> {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect();
    if path.starts_with('/') || parts.contains(&"..") {
        return Err(SourceError::Misconfigured {
            problem: format!("the path \"{path}\" leaves the repository"),
            fix: "write Repository spec.git.path relative to the top of the repository, like packages/lib".to_owned(),
        });
    }
    Ok((!parts.is_empty()).then(|| parts.join("/")))
}

impl Upstream {
    /// The remote that `repository` names, with its mirror below `git_dir`. Does no I/O.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] and [`SourceError::Forbidden`] for a URL or a path that cannot work.
    pub(super) fn open(
        repository: &Repository,
        network: &Arc<Network>,
        git_dir: &Path,
    ) -> Result<Self, SourceError> {
        let address = Address::parse(&repository.url, network.policy())?;
        let fetcher = match &address {
            Address::Http(url) => Some(Arc::new(Fetcher::new(
                network,
                url,
                &repository.credentials,
            )?)),
            Address::Ssh(_) | Address::Local(_) => None,
        };
        let path = repository
            .path
            .as_deref()
            .map(clean_path)
            .transpose()?
            .flatten();
        let settings = format!(
            "{READING}\0{address}\0{}",
            path.as_deref().unwrap_or_default()
        );
        let digest = hex::encode(Sha256::digest(settings));
        Ok(Self {
            name: repository.name.clone(),
            mirror: Mirror::new(git_dir, &repository.name, &address.to_string()),
            access: Access {
                address,
                network: Arc::clone(network),
                fetcher,
                credentials: repository.credentials.clone(),
                keys: KeyFolder::of(git_dir),
            },
            path,
            timeout: repository.timeout,
            settings: digest.get(..8).unwrap_or_default().to_owned(),
        })
    }

    /// Does blocking work with a session of its own, within the time that the repository's sync has.
    ///
    /// # Errors
    /// Those of the work, and [`SourceError::Unavailable`] when the time is up.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Arc<Session>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let session = Session::new();
        session::run(&self.name, self.timeout, Arc::clone(&session), move || {
            work(&session)
        })
        .await
    }

    /// Whether what was read with this validator was read under the same settings.
    pub(super) fn has_settings_of(&self, validator: &str) -> bool {
        validator
            .strip_prefix(&self.settings)
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// Looks at the remote and brings the mirror to it, unless `previous` says that nothing moved.
    /// A damaged mirror is dropped and cloned again, once.
    pub(super) fn look(
        &self,
        previous: Option<&State>,
        session: &Arc<Session>,
    ) -> Result<(Moment, bool), SourceError> {
        match self.look_once(previous, session) {
            Err(Trouble::Damaged(problem)) => {
                self.drop_mirror(&problem);
                self.look_once(previous, session)
                    .map_err(|trouble| self.give_up(trouble))
            }
            outcome => outcome.map_err(|trouble| self.give_up(trouble)),
        }
    }

    fn look_once(
        &self,
        previous: Option<&State>,
        session: &Arc<Session>,
    ) -> Result<(Moment, bool), Trouble> {
        let (remote, refs) = Remote::connect(&self.access, session)?;
        let validator = format!("{}-{}", self.settings, refs.digest());
        let refs = Arc::new(refs);
        if let Some(state) = previous.filter(|state| state.validator == validator) {
            return Ok((
                Moment {
                    refs,
                    state: state.clone(),
                },
                true,
            ));
        }
        self.mirror.update(remote, &refs, session)?;
        let name = self.package_name(&refs)?;
        Ok((
            Moment {
                refs,
                state: State { validator, name },
            },
            false,
        ))
    }

    /// Removes a mirror that turned out to be damaged; the next look clones it again.
    pub(super) fn drop_mirror(&self, problem: &str) {
        tracing::warn!(
            repository = self.name.as_str(),
            problem,
            "the git mirror is damaged and is cloned again"
        );
        self.mirror.wipe();
    }

    /// The error for the outside.
    pub(super) fn give_up(&self, trouble: Trouble) -> SourceError {
        match trouble {
            Trouble::Source(error) => error,
            Trouble::Damaged(problem) => SourceError::Unavailable {
                what: self.access.address.to_string(),
                problem,
                retry_after: None,
            },
        }
    }

    /// The name all versions get: that of the default branch (protocol B.1, 1).
    fn package_name(&self, refs: &RemoteRefs) -> Result<PackageName, Trouble> {
        let invalid = |problem: String| {
            Trouble::Source(SourceError::Invalid {
                what: self.access.address.to_string(),
                problem,
            })
        };
        let Some((branch, target)) = refs.default_branch() else {
            return Err(invalid(
                "it has no default branch; push one, and let HEAD name it".to_owned(),
            ));
        };
        let branch = branch.strip_prefix(HEADS).unwrap_or(branch);
        let repository = self
            .mirror
            .open_at(refs)
            .ok_or_else(|| Trouble::Damaged("it lacks objects".to_owned()))?;
        let tree = repository
            .find_object(target.peeled)
            .and_then(gix::Object::peel_to_tree)
            .map_err(Trouble::damaged)?;
        let manifest = match manifest::locate(&tree, self.path.as_deref())? {
            Ok(blob) => manifest::read(&repository, blob)?,
            Err(reason) => Err(reason),
        };
        let manifest = manifest.map_err(|reason| {
            invalid(format!(
                "{reason} in the default branch {branch}; it has to name the package"
            ))
        })?;
        let Some(name) = manifest.name else {
            return Err(invalid(format!(
                "composer.json in the default branch {branch} has no \"name\"; add one"
            )));
        };
        PackageName::parse(&name).map_err(|error| {
            invalid(format!(
                "composer.json in the default branch {branch}: {error}"
            ))
        })
    }

    /// Reads all versions of a moment, or of a later one if the mirror has lost it.
    pub(super) fn read(
        &self,
        moment: &Moment,
        before: &PackageVersions,
        session: &Arc<Session>,
    ) -> Result<Reading, SourceError> {
        match self.read_once(moment, before, session) {
            Err(Trouble::Damaged(problem)) => {
                self.drop_mirror(&problem);
                let (moment, _) = self.look(None, session)?;
                self.read_once(&moment, before, session)
                    .map_err(|trouble| self.give_up(trouble))
            }
            outcome => outcome.map_err(|trouble| self.give_up(trouble)),
        }
    }

    fn read_once(
        &self,
        moment: &Moment,
        before: &PackageVersions,
        session: &Arc<Session>,
    ) -> Result<Reading, Trouble> {
        let url = self.access.address.to_string();
        let package = Package {
            name: &moment.state.name,
            url: &url,
            path: self.path.as_deref(),
        };
        let Some(repository) = self.mirror.open_at(&moment.refs) else {
            return Err(Trouble::Damaged("it is gone, or lacks objects".to_owned()));
        };
        let mut found = versions::read_all(&repository, &package, &moment.refs, before, session)?;
        found.validator = Some(moment.state.validator.clone());
        Ok(Reading::Found(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_within_the_repository() {
        for (given, expected) in [
            ("", None),
            (".", None),
            ("packages/lib/", Some("packages/lib")),
            ("./a//b", Some("a/b")),
        ] {
            assert_eq!(clean_path(given).unwrap().as_deref(), expected, "{given}");
        }
        for given in ["/etc", "../x", "a/../../b"] {
            assert!(clean_path(given).is_err(), "{given}");
        }
    }
}
