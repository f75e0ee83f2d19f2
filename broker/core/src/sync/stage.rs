//! From what a source gave for one package to what is stored.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument;

use super::{SyncError, SyncService};
use crate::{
    domain::{
        metadata::{DistUrls, PackageVersions, Raw, Version},
        names::PackageName,
        repository::{Repository, SourceKind},
    },
    ports::{
        database::DatabaseError,
        source::{Found, Known, PackageReader, Reading},
    },
    services::render::{Checksums, Prepared},
};

/// Versions that are checked and rendered in less than a millisecond or so.
const JUDGED_AT_ONCE: usize = 64;

/// What is known of a repository's packages before they are read, as far as it is known at once.
#[derive(Default)]
pub(super) struct Before {
    /// What the source recognises them by.
    pub(super) validators: HashMap<PackageName, String>,
    /// The checksums of their archives, if they are the same for all.
    pub(super) checksums: Option<Checksums>,
}

/// What became of one package.
pub(super) enum Staged {
    /// As it was.
    Unchanged,
    /// New content, ready to be stored.
    Changed(Box<Prepared>),
    /// The source has it no more, or never had.
    Absent,
}

impl SyncService {
    /// Reads one package and prepares it, without writing anything.
    pub(super) async fn stage(
        &self,
        repository: &Arc<Repository>,
        reader: &Arc<dyn PackageReader>,
        package: &PackageName,
    ) -> Result<Staged, SyncError> {
        let before = Before::default();
        let fetched = self.fetch(repository, reader, package, &before).await?;
        fetched.judge().await
    }

    /// Reads one package: all of the work that waits for others.
    pub(super) async fn fetch(
        &self,
        repository: &Arc<Repository>,
        reader: &Arc<dyn PackageReader>,
        package: &PackageName,
        before: &Before,
    ) -> Result<Fetched, SyncError> {
        let held = self.catalog.held(&repository.name, package.as_str());
        let tag = repository_tag(repository);
        let validator = before.validators.get(package);
        let validator = validator.filter(|_| held.is_some());
        let validator = validator.and_then(|validator| validator.strip_prefix(&tag));
        let validator = validator.map(str::to_owned);
        let known = Known {
            validator,
            packages: Arc::clone(&self.database) as _,
            repository: repository.name.clone(),
        };
        self.telemetry.packages_read.increment();
        // On a task of its own, so that every processor parses what comes.
        let reading = {
            let (reader, package) = (Arc::clone(reader), package.clone());
            let read = async move { (reader.read(&package, &known).await, known.validator) };
            AbortOnDropHandle::new(tokio::spawn(read.in_current_span()))
        };
        let (read, validator) = reading.await.map_err(|_| SyncError::Stopped)?;
        let found = match read? {
            Reading::Unchanged => return Ok(Fetched::Decided(Staged::Unchanged)),
            Reading::Absent => return Ok(Fetched::Decided(Staged::Absent)),
            Reading::Found(found) => found,
        };
        let stored = match held {
            Some(_) => self.stored(repository, package).await?,
            None => None,
        };
        let checksums = match &before.checksums {
            Some(checksums) => checksums.clone(),
            None => self.publisher.checksums(&repository.name, package).await?,
        };
        Ok(Fetched::Found(Box::new(Material {
            repository: Arc::clone(repository),
            package: package.clone(),
            found,
            before: stored,
            tag,
            known: validator,
            urls: self.catalog.installation().urls().clone(),
            checksums,
        })))
    }

    /// What is stored of a package; nothing if that cannot be read, so that it is written anew.
    async fn stored(
        &self,
        repository: &Repository,
        package: &PackageName,
    ) -> Result<Option<PackageVersions>, SyncError> {
        match self.database.versions(&repository.name, package).await {
            Err(error @ DatabaseError::Corrupt { .. }) => {
                tracing::warn!(repository = %repository.name, %package, %error, "read anew");
                Ok(None)
            }
            stored => Ok(stored?),
        }
    }
}

/// A package as its source gave it.
pub(super) enum Fetched {
    /// There is nothing to work on.
    Decided(Staged),
    /// Versions to be checked and prepared.
    Found(Box<Material>),
}

/// What a package's new content is made from.
pub(super) struct Material {
    repository: Arc<Repository>,
    package: PackageName,
    found: Found,
    before: Option<PackageVersions>,
    /// The tag of validators under the present settings.
    tag: String,
    /// The validator that the source was asked with.
    known: Option<String>,
    urls: DistUrls,
    checksums: Checksums,
}

impl Fetched {
    /// Checks and prepares what was fetched: all of the work that needs the processor, off the runtime if it is much.
    pub(super) async fn judge(self) -> Result<Staged, SyncError> {
        match self {
            Self::Decided(staged) => Ok(staged),
            Self::Found(material) => {
                let judged = if material.found.versions.len() <= JUDGED_AT_ONCE {
                    // A hand-over to another thread would take longer than the work.
                    AbortOnDropHandle::new(tokio::spawn(async move { material.judge() })).await
                } else {
                    tokio::task::spawn_blocking(move || material.judge()).await
                };
                judged.map_err(|_| SyncError::Stopped)
            }
        }
    }
}

impl Material {
    fn judge(self) -> Staged {
        let Found {
            versions,
            skipped,
            validator,
        } = self.found;
        let mut content = PackageVersions::check(&self.package, versions, skipped);
        self.repository.versions.apply(&mut content);
        let before = self.before.as_ref();
        vouch(&self.repository, &mut content, before, Timestamp::now());
        // Without a validator there is none to remember.
        let says_nothing_new = validator.is_none() || validator == self.known;
        if says_nothing_new && before == Some(&content) {
            return Staged::Unchanged;
        }
        let validator = validator.map(|validator| format!("{}{validator}", self.tag));
        Staged::Changed(Box::new(Prepared::new(
            &self.repository.name,
            &self.package,
            validator,
            &content,
            self.urls,
            &self.checksums,
        )))
    }
}

/// Validators count only for the settings they were given under.
fn repository_tag(repository: &Repository) -> String {
    let mut tag = super::fingerprint::fingerprint(repository);
    tag.truncate(8);
    tag.push(':');
    tag
}

/// Sets `published-time` (protocol A.11): an upstream's own word for it where a Composer repository gives one, else
/// the time we first saw this content of this version. An author's word in a `composer.json` never counts.
fn vouch(
    repository: &Repository,
    content: &mut PackageVersions,
    before: Option<&PackageVersions>,
    now: Timestamp,
) {
    let seen: HashMap<(&str, Option<&str>), &Raw> = before
        .into_iter()
        .flat_map(|before| &before.versions)
        .filter_map(|version| Some((identity(version), version.fields().get("published-time")?)))
        .collect();
    let now = Raw::of(&now.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string());
    for version in &mut content.versions {
        if repository.kind == SourceKind::Composer
            && version.fields().get("published-time").is_some()
        {
            continue;
        }
        let time = seen
            .get(&identity(version))
            .map_or_else(|| now.clone(), |&time| time.clone());
        version.set_published_time(time);
    }
}

fn identity(version: &Version) -> (&str, Option<&str>) {
    (version.normalized().as_str(), version.reference())
}
