//! A remote with its mirror: what the remote is now, and what we have of it.

use std::{path::Path, sync::Arc, time::Duration};

use package_broker_core::{
    domain::{
        metadata::PackageVersions,
        names::{PackageName, RepositoryName},
        repository::Repository,
        selection::RefPattern,
    },
    ports::source::{Reading, SourceError},
    telemetry::calling,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    address::Address,
    host::{self, Pages},
    manifest,
    mirror::{Mirror, View},
    path::clean_path,
    refs::{HEADS, RemoteRefs},
    remote::Remote,
    session::{self, Session},
    transport::{Access, KeyFolder},
    trouble::Trouble,
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
    /// Which tags and branches are read; empty means all.
    wanted: Vec<RefPattern>,
    /// Where people see it, if it is on a host that we know.
    pages: Option<Pages>,
    max_manifest: u64,
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

impl Moment {
    /// The default branch and its commit.
    pub(super) fn revision(&self) -> Option<String> {
        let (branch, target) = self.refs.default_branch()?;
        let branch = branch.strip_prefix(HEADS).unwrap_or(branch);
        Some(format!("{branch}@sha1:{}", target.peeled))
    }
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
        let host = host::Kind::of(repository.kind);
        let credentials = host.map_or_else(
            || repository.credentials.clone(),
            |host| host.login(&repository.credentials),
        );
        let pages = host.and_then(|host| Pages::of(host, &address));
        let fetcher = match &address {
            Address::Http(url) => Some(Arc::new(Fetcher::new(network, url, &credentials)?)),
            Address::Ssh(_) | Address::Local(_) => None,
        };
        let path = repository
            .path
            .as_deref()
            .map(clean_path)
            .transpose()?
            .flatten();
        let max_manifest = network
            .limits()
            .max_metadata_size
            .min(manifest::MAX_MANIFEST);
        let mut settings = format!(
            "{READING}\0{address}\0{}\0{max_manifest}",
            path.as_deref().unwrap_or_default()
        );
        if let Some(pages) = &pages {
            settings.extend(["\0", &format!("{pages:?}")]);
        }
        if !repository.refs.is_empty() {
            settings.extend(["\0", &format!("{:?}", repository.refs)]);
        }
        let digest = hex::encode(Sha256::digest(settings));
        Ok(Self {
            name: repository.name.clone(),
            mirror: Mirror::new(git_dir, &repository.name, &address.to_string()),
            access: Access {
                address,
                network: Arc::clone(network),
                fetcher,
                credentials,
                keys: KeyFolder::of(git_dir),
            },
            path,
            wanted: repository.refs.clone(),
            pages,
            max_manifest,
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
        action: &'static str,
        work: impl FnOnce(&Arc<Session>) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let session = Session::new();
        let running = session::run(&self.name, self.timeout, Arc::clone(&session), move || {
            work(&session)
        });
        calling("git", action, running).await
    }

    /// Whether what was read with this validator was read under the same settings.
    pub(super) fn has_settings_of(&self, validator: &str) -> bool {
        validator
            .strip_prefix(&self.settings)
            .is_some_and(|rest| rest.starts_with('-'))
    }

    /// Looks at the remote and brings the mirror to it. Says whether that is what `previous` says as well.
    /// A mirror that turns out to be damaged is cloned again, once.
    pub(super) fn look(
        &self,
        previous: Option<&State>,
        session: &Arc<Session>,
    ) -> Result<(Moment, bool), SourceError> {
        match self.look_once(previous, session) {
            Err(Trouble::Damaged(_)) => self.look_once(previous, session),
            outcome => outcome,
        }
        .map_err(|trouble| self.give_up(trouble))
    }

    fn look_once(
        &self,
        previous: Option<&State>,
        session: &Arc<Session>,
    ) -> Result<(Moment, bool), Trouble> {
        let (remote, refs) = Remote::connect(&self.access, &self.wanted, session)?;
        let validator = format!("{}-{}", self.settings, refs.digest());
        let refs = Arc::new(refs);
        let known = previous.filter(|state| state.validator == validator);
        // Without the mirror, archives that nobody has asked for yet could not be built.
        if known.is_none() || !self.mirror.is_settled_at(&refs) {
            self.mirror.update(remote, &refs, session)?;
        }
        let state = match known {
            Some(state) => state.clone(),
            None => State {
                name: self.package_name(&refs)?,
                validator,
            },
        };
        Ok((Moment { refs, state }, known.is_some()))
    }

    /// Reads the mirror, which has to have `refs`.
    fn reading<T>(
        &self,
        refs: &RemoteRefs,
        work: impl FnOnce(&gix::Repository) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let Some(view) = self.mirror.open_at(refs) else {
            return Err(Trouble::Damaged("it is gone, or lacks objects".to_owned()));
        };
        self.judged(&view, work(&view))
    }

    /// Keeps in mind that a view of the mirror turned out to be damaged.
    pub(super) fn judged<T>(&self, view: &View, read: Result<T, Trouble>) -> Result<T, Trouble> {
        if let Err(Trouble::Damaged(problem)) = &read {
            self.mirror.suspect(view, problem);
        }
        read
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
        let manifest = self.reading(refs, |repository| {
            let tree = repository
                .find_object(target.peeled)
                .and_then(gix::Object::peel_to_tree)
                .map_err(Trouble::damaged)?;
            match manifest::locate(&tree, self.path.as_deref())? {
                Ok(blob) => manifest::read(repository, blob, self.max_manifest),
                Err(reason) => Ok(Err(reason)),
            }
        })?;
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
            Err(Trouble::Damaged(_)) => {
                let (moment, _) = self.look(None, session)?;
                self.read_once(&moment, before, session)
            }
            outcome => outcome,
        }
        .map_err(|trouble| self.give_up(trouble))
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
            wanted: &self.wanted,
            pages: self.pages.as_ref(),
            max_manifest: self.max_manifest,
        };
        let mut found = self.reading(&moment.refs, |repository| {
            versions::read_all(repository, &package, &moment.refs, before, session)
        })?;
        found.validator = Some(moment.state.validator.clone());
        Ok(Reading::Found(found))
    }
}
