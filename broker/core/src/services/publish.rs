//! The one place that writes what is served.
//!
//! A name is published as its rightful owner has it ([`Catalog::rightful_owner`]). Changes of content come from syncs,
//! changes of owner from syncs and from new manifests; both end in one transaction, then in memory, then in word to
//! the other replicas.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::Mutex;

use super::{catalog::Catalog, compress::compress};
use crate::{
    domain::{
        metadata::{Channel, DistUrls, PackageVersions, Version, document},
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::{
        cache::{Cache, Change},
        database::{Changes, Database, DatabaseError, Held, Publication, PutPackage},
    },
    telemetry::Telemetry,
};

/// How many names one transaction changes at most.
pub const BATCH: usize = 256;

/// A package's new content, rendered in case its repository owns the name.
pub struct Prepared {
    put: PutPackage,
    publication: Publication,
}

impl Prepared {
    /// Encodes and renders a package. Takes time in proportion to its size: call it off the async runtime.
    pub fn new(
        repository: &RepositoryName,
        package: &PackageName,
        validator: Option<String>,
        content: &PackageVersions,
        urls: &DistUrls,
        checksums: &Checksums,
    ) -> Self {
        let put = PutPackage {
            repository: repository.clone(),
            package: package.clone(),
            validator,
            content: content.encode().into(),
            versions: count(content.versions.len()),
            skipped: count(content.skipped.len()),
        };
        Self {
            put,
            publication: publication(repository, package, content, urls, checksums),
        }
    }

    /// The package's name.
    pub fn package(&self) -> &PackageName {
        &self.put.package
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The SHA-1 of archives we store, by version segment and reference segment.
#[derive(Default)]
pub struct Checksums(HashMap<(String, String), String>);

impl Checksums {
    /// Reads those of a package that the source's own metadata lacks; no query if it lacks none.
    pub async fn read(
        database: &dyn Database,
        repository: &RepositoryName,
        package: &PackageName,
        content: &PackageVersions,
    ) -> Result<Self, DatabaseError> {
        let lacks =
            |version: &Version| version.dist().is_some_and(|dist| dist.checksum().is_none());
        if !content.versions.iter().any(lacks) {
            return Ok(Self::default());
        }
        let archives = database.archives_of(repository, package).await?;
        Ok(Self(
            archives
                .into_iter()
                .map(|a| ((a.key.version, a.key.reference), a.sha1))
                .collect(),
        ))
    }

    fn of(&self, version: &Version) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        let segment =
            crate::domain::metadata::links::version_segment(version.normalized().as_str());
        self.0.get(&(segment, version.dist()?.segment())).cloned()
    }
}

/// What a package is served as when `repository` owns its name.
fn publication(
    repository: &RepositoryName,
    package: &PackageName,
    content: &PackageVersions,
    urls: &DistUrls,
    checksums: &Checksums,
) -> Publication {
    let checksum = |version: &Version| checksums.of(version);
    let render =
        |channel| compress(&document::render(package, content, channel, urls, &checksum).json);
    let newest = content
        .channel(Channel::Stable)
        .next()
        .or(content.versions.first());
    let text = |key: &str| {
        newest
            .and_then(|version| version.fields().read::<String>(key))
            .unwrap_or_default()
    };
    let abandoned = newest.and_then(|version| version.fields().get("abandoned").cloned());
    Publication {
        package: package.clone(),
        owner: repository.clone(),
        stable: render(Channel::Stable),
        dev: render(Channel::Dev),
        description: text("description").chars().take(500).collect(),
        kind: newest
            .and_then(|version| version.fields().read("type"))
            .unwrap_or_else(|| "library".to_owned()),
        abandoned: abandoned
            .map(|raw| {
                raw.read::<String>().unwrap_or_else(|| {
                    if raw.text() == "true" {
                        "true".to_owned()
                    } else {
                        String::new()
                    }
                })
            })
            .unwrap_or_default(),
    }
}

/// Writes what is served, one writer at a time.
pub struct Publisher {
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    cache: Arc<dyn Cache>,
    telemetry: Arc<Telemetry>,
    turn: Mutex<()>,
}

impl Publisher {
    /// A publisher over the shared memory.
    pub fn new(
        database: Arc<dyn Database>,
        catalog: Arc<Catalog>,
        cache: Arc<dyn Cache>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            database,
            catalog,
            cache,
            telemetry,
            turn: Mutex::new(()),
        }
    }

    /// Stores packages of one repository and publishes those it owns.
    pub async fn put(
        &self,
        repository: &RepositoryName,
        prepared: Vec<Prepared>,
    ) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        if self.catalog.installation().repository(repository).is_none() {
            // It was removed while it was being read.
            return Ok(());
        }
        let mut changes = Changes::default();
        for Prepared { put, publication } in prepared {
            let owner = self
                .catalog
                .rightful_owner(put.package.as_str(), Some(repository), None);
            if owner.as_ref() == Some(repository) {
                changes.publish.push(publication);
            }
            changes.put.push(put);
        }
        self.telemetry
            .packages_written
            .add(changes.put.len() as u64);
        self.commit(changes).await
    }

    /// Removes packages that a repository no longer has. Where another repository has the name, it becomes the owner.
    pub async fn remove(
        &self,
        repository: &RepositoryName,
        packages: &[PackageName],
    ) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        for batch in packages.chunks(BATCH) {
            let mut changes = Changes::default();
            for package in batch {
                let next = self
                    .catalog
                    .rightful_owner(package.as_str(), None, Some(repository));
                self.settle(package, next, &mut changes).await?;
                changes.remove.push((repository.clone(), package.clone()));
            }
            self.commit(changes).await?;
        }
        Ok(())
    }

    /// Gives every name to its rightful owner, after the installation changed. With `everything`, documents whose
    /// owner stands are rendered again too.
    pub async fn settle_owners(&self, everything: bool) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        let mut names: Vec<PackageName> = Vec::new();
        self.catalog.each(|name, _| names.push(name.clone()));
        for repository in self.catalog.holders() {
            names.extend(self.catalog.held_by(&repository));
        }
        names.sort();
        names.dedup();
        let mut changes = Changes::default();
        for name in names {
            let owner = self.catalog.rightful_owner(name.as_str(), None, None);
            if everything {
                self.render(&name, owner, &mut changes).await?;
            } else {
                self.settle(&name, owner, &mut changes).await?;
            }
            if changes.publish.len() + changes.withdraw.len() >= BATCH {
                self.commit(std::mem::take(&mut changes)).await?;
            }
        }
        self.commit(changes).await
    }

    /// Renders a package of its owner once more, after an archive of it was stored.
    pub async fn refresh(&self, package: &PackageName) -> Result<(), DatabaseError> {
        let _turn = self.turn.lock().await;
        let owner = self.catalog.rightful_owner(package.as_str(), None, None);
        let mut changes = Changes::default();
        self.render(package, owner, &mut changes).await?;
        self.commit(changes).await
    }

    /// Adds to `changes` what makes `owner` the owner of a name; nothing if it is already.
    async fn settle(
        &self,
        package: &PackageName,
        owner: Option<RepositoryName>,
        changes: &mut Changes,
    ) -> Result<(), DatabaseError> {
        let present = self
            .catalog
            .find(package.as_str())
            .map(|entry| entry.published.owner.clone());
        if present == owner {
            Ok(())
        } else {
            self.render(package, owner, changes).await
        }
    }

    async fn render(
        &self,
        package: &PackageName,
        owner: Option<RepositoryName>,
        changes: &mut Changes,
    ) -> Result<(), DatabaseError> {
        let content = match &owner {
            Some(owner) => self.database.versions(owner, package).await?,
            None => None,
        };
        let (Some(owner), Some(content)) = (owner, content) else {
            if self.catalog.find(package.as_str()).is_some() {
                changes.withdraw.push(package.clone());
            }
            return Ok(());
        };
        let checksums = Checksums::read(&*self.database, &owner, package, &content).await?;
        let installation = self.catalog.installation();
        let name = package.clone();
        let rendered = tokio::task::spawn_blocking(move || {
            publication(&owner, &name, &content, installation.urls(), &checksums)
        });
        let stopped = |_| DatabaseError::Unavailable {
            action: "render a document",
            problem: "shutting down".into(),
        };
        changes.publish.push(rendered.await.map_err(stopped)?);
        Ok(())
    }

    /// Database first, then memory, then word to the others.
    async fn commit(&self, changes: Changes) -> Result<(), DatabaseError> {
        if changes.put.is_empty()
            && changes.remove.is_empty()
            && changes.publish.is_empty()
            && changes.withdraw.is_empty()
        {
            return Ok(());
        }
        let applied = self.database.apply(&changes, Stamp::now()).await?;
        let mut names: Vec<PackageName> = applied
            .published
            .iter()
            .map(|p| p.package.clone())
            .collect();
        names.extend(changes.withdraw.iter().cloned());
        let held = changes.put.into_iter().map(|put| Held {
            repository: put.repository,
            package: put.package,
            validator: put.validator,
            versions: put.versions,
            skipped: put.skipped,
        });
        self.catalog
            .apply(applied, held.collect(), &changes.remove, &changes.withdraw);
        if let Err(error) = self.cache.announce(Change::Packages(names)).await {
            tracing::debug!(%error, "other replicas will notice the change later");
        }
        Ok(())
    }
}
