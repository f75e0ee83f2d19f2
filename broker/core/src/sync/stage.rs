//! From what a source gave for one package to what is stored.

use std::{collections::HashMap, sync::Arc};

use super::{SyncError, SyncService};
use crate::{
    domain::{
        metadata::{PackageVersions, Raw, Version},
        names::PackageName,
        repository::{Repository, SourceKind},
    },
    ports::{
        database::DatabaseError,
        source::{Found, PackageReader, Reading},
    },
    services::render::{Checksums, Prepared},
};

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
    /// Reads one package and prepares it, without writing anything. `checksums` are those of its archives, if the
    /// caller knows them.
    pub(super) async fn stage(
        &self,
        repository: &Arc<Repository>,
        reader: &dyn PackageReader,
        package: &PackageName,
        checksums: Option<&Checksums>,
    ) -> Result<Staged, SyncError> {
        let held = self.catalog.held(&repository.name, package.as_str());
        let tag = repository_tag(repository);
        let validator = held.as_ref().and_then(|held| {
            held.validator
                .as_deref()?
                .strip_prefix(&tag)
                .map(str::to_owned)
        });
        let packages = Arc::clone(&self.database);
        let known = crate::ports::source::Known {
            validator,
            packages,
            repository: repository.name.clone(),
        };
        self.telemetry.packages_read.increment();
        match reader.read(package, &known).await? {
            Reading::Unchanged => Ok(Staged::Unchanged),
            Reading::Absent => Ok(Staged::Absent),
            Reading::Found(found) => {
                let before = match held {
                    Some(_) => self.stored(repository, package).await?,
                    None => None,
                };
                let checked = check(repository, package, found, before).await?;
                if checked.same && checked.says_nothing_new(known.validator.as_deref()) {
                    return Ok(Staged::Unchanged);
                }
                let checksums = match checksums {
                    Some(checksums) => checksums.clone(),
                    None => self.publisher.checksums(&repository.name, package).await?,
                };
                self.prepare(repository, package, checked, &tag, checksums)
                    .await
            }
        }
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

    async fn prepare(
        &self,
        repository: &Arc<Repository>,
        package: &PackageName,
        checked: Checked,
        tag: &str,
        checksums: Checksums,
    ) -> Result<Staged, SyncError> {
        let Checked {
            content, validator, ..
        } = checked;
        let validator = validator.map(|validator| format!("{tag}{validator}"));
        let installation = self.catalog.installation();
        let (name, repository) = (package.clone(), repository.name.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            Prepared::new(
                &repository,
                &name,
                validator,
                &content,
                installation.urls().clone(),
                &checksums,
            )
        });
        Ok(Staged::Changed(Box::new(
            prepared.await.map_err(|_| SyncError::Stopped)?,
        )))
    }
}

/// What a source gave, judged.
struct Checked {
    content: PackageVersions,
    /// The source's validator for it.
    validator: Option<String>,
    /// Whether the content is what is stored.
    same: bool,
}

impl Checked {
    /// Whether the validator is the one that is known, or there is none to remember.
    fn says_nothing_new(&self, known: Option<&str>) -> bool {
        self.validator.is_none() || self.validator.as_deref() == known
    }
}

async fn check(
    repository: &Arc<Repository>,
    package: &PackageName,
    found: Found,
    before: Option<PackageVersions>,
) -> Result<Checked, SyncError> {
    let Found {
        versions,
        skipped,
        validator,
    } = found;
    let (name, own) = (package.clone(), Arc::clone(repository));
    let checking = tokio::task::spawn_blocking(move || {
        let mut content = PackageVersions::check(&name, versions, skipped);
        vouch(&own, &mut content, before.as_ref(), jiff::Timestamp::now());
        let same = before.as_ref() == Some(&content);
        (content, same)
    });
    let (content, same) = checking.await.map_err(|_| SyncError::Stopped)?;
    Ok(Checked {
        content,
        validator,
        same,
    })
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
    now: jiff::Timestamp,
) {
    let seen: HashMap<(&str, Option<String>), &Raw> = before
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
        version.fields_mut().set("published-time", time);
    }
}

fn identity(version: &Version) -> (&str, Option<String>) {
    (version.normalized().as_str(), version.reference())
}
