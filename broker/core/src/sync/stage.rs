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
    services::publish::Prepared,
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
    /// Reads one package and prepares it, without writing anything.
    pub(super) async fn stage(
        &self,
        repository: &Arc<Repository>,
        reader: &dyn PackageReader,
        package: &PackageName,
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
                self.prepare(repository, package, found, before, &tag, known.validator)
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
        found: Found,
        before: Option<PackageVersions>,
        tag: &str,
        validator_before: Option<String>,
    ) -> Result<Staged, SyncError> {
        let Found {
            versions,
            skipped,
            validator,
        } = found;
        let same_validator =
            validator == validator_before && validator.is_some() || validator.is_none();
        let validator = validator.map(|validator| format!("{tag}{validator}"));
        let (name, own) = (package.clone(), Arc::clone(repository));
        let checked = tokio::task::spawn_blocking(move || {
            let mut content = PackageVersions::check(&name, versions, skipped);
            vouch(&own, &mut content, before.as_ref(), jiff::Timestamp::now());
            let same = before.as_ref() == Some(&content);
            (content, same)
        });
        let (content, same) = checked.await.map_err(|_| SyncError::Stopped)?;
        if same && same_validator {
            return Ok(Staged::Unchanged);
        }
        let checksums = self.publisher.checksums(&repository.name, package).await?;
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

/// Validators count only for the settings they were given under.
fn repository_tag(repository: &Repository) -> String {
    let mut tag = super::run::fingerprint(repository);
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
