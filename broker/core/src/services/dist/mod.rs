//! Archives: from storage as a rule; fetched or built once where they are not there yet (design rule 4).

mod answer;

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use quick_cache::sync::Cache;
use thiserror::Error;
use tokio::{runtime::Handle, sync::Semaphore};

use super::{
    catalog::Catalog,
    claim::Claim,
    compress::decompress,
    flight::Flights,
    package::{CannotTell, PackageService},
    publish::Publisher,
    token::Grant,
    wanted::{choose, verify},
};
use crate::{
    domain::{
        archive::{Archive, ArchiveDefect, ArchiveFormat, ArchiveKey, BlobId},
        metadata::Channel,
        names::{PackageName, RepositoryName},
    },
    ports::{
        database::{Database, DatabaseError, Encoding},
        source::{ArchiveSink, Received, SourceError, WantedArchive},
        storage::{Storage, StorageError},
    },
    sync::SyncService,
    telemetry::Telemetry,
};

/// Archives fetched or built at once; of one repository, fewer.
const MAX_FETCHES: usize = 32;
/// The longest time one archive may take, with the wait for its turn.
const FETCH_TIMEOUT: Duration = Duration::from_secs(280);
/// The time between two looks at what another process is fetching.
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);
/// Addresses of archives kept in memory, each below 1 KiB.
const MAX_KNOWN: usize = 4_096;

/// Why there is no archive. The sentences are shown to the user.
#[derive(Clone, Debug, Error)]
pub enum DistError {
    /// There is no such archive for this asker.
    #[error(
        "there is no such archive here: run `composer update` for the package, or check what the token may read"
    )]
    Missing,
    /// The source no longer has it, or has other bytes than we served.
    #[error("{0}")]
    Gone(String),
    /// The upstream's file is not what its metadata promised.
    #[error(
        "the archive of {package} cannot be served: {defect}; tell whoever runs its upstream repository"
    )]
    Defective {
        /// The package.
        package: PackageName,
        /// What is wrong.
        defect: ArchiveDefect,
    },
    /// We cannot tell, or cannot get it now.
    #[error(transparent)]
    Unavailable(#[from] CannotTell),
}

fn unavailable(message: &str, retry_after: Option<Duration>) -> DistError {
    let retry_after = retry_after
        .unwrap_or(Duration::from_secs(10))
        .min(Duration::from_mins(1));
    DistError::Unavailable(CannotTell {
        message: message.to_owned(),
        retry_after,
    })
}

/// Whose turn it is to fetch an archive.
enum Turn {
    /// Ours, for as long as the claim is kept.
    Ours(Claim),
    /// Nobody's: it is there.
    Done(Archive),
}

/// Answers requests for archives.
pub struct DistService {
    database: Arc<dyn Database>,
    storage: Arc<dyn Storage>,
    catalog: Arc<Catalog>,
    packages: Arc<PackageService>,
    syncs: Arc<SyncService>,
    publisher: Arc<Publisher>,
    telemetry: Arc<Telemetry>,
    fetches: Flights<(RepositoryName, ArchiveKey), Result<Archive, DistError>>,
    known: Cache<ArchiveKey, Arc<Archive>>,
    slots: Semaphore,
    runtime: Handle,
}

impl DistService {
    /// A service over the shared memory. Archives are fetched on the runtime of the caller.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(
        database: Arc<dyn Database>,
        storage: Arc<dyn Storage>,
        catalog: Arc<Catalog>,
        packages: Arc<PackageService>,
        syncs: Arc<SyncService>,
        publisher: Arc<Publisher>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            database,
            storage,
            catalog,
            packages,
            syncs,
            publisher,
            telemetry,
            fetches: Flights::on(Handle::current()),
            known: Cache::new(MAX_KNOWN),
            slots: Semaphore::new(MAX_FETCHES),
            runtime: Handle::current(),
        }
    }

    async fn find(
        self: &Arc<Self>,
        grant: &Grant,
        key: &ArchiveKey,
        format: ArchiveFormat,
    ) -> Result<Archive, DistError> {
        let name = key.package.as_str();
        if !grant.scope.covers_name(name) {
            return Err(DistError::Missing);
        }
        let readable = |archive: &Archive| {
            archive.format == format && grant.scope.covers_repository(&archive.repository)
        };
        let owner = self
            .catalog
            .find(name)
            .map(|entry| entry.published.owner.clone());
        if let Some(known) = self.known.get(key)
            && owner.as_ref() == Some(&known.repository)
            && readable(&known)
        {
            return Ok((*known).clone());
        }
        let mut stored = self
            .database
            .archives(key)
            .await
            .map_err(CannotTell::from)?;
        stored.retain(readable);
        if let Some(archive) = stored
            .iter()
            .find(|archive| owner.as_ref() == Some(&archive.repository))
        {
            self.known.insert(key.clone(), Arc::new(archive.clone()));
            let (service, first) = (Arc::clone(self), archive.clone());
            self.runtime
                .spawn(async move { service.make_up_for(first).await });
            return Ok(archive.clone());
        }
        match self.wanted(grant, key, format).await {
            Ok(Some((repository, wanted))) => self.fetch(&repository, key, wanted).await,
            // A version that vanished upstream, or whose name has another owner now: its archive stays.
            Ok(None) => stored.into_iter().next().ok_or(DistError::Missing),
            Err(error) => stored.into_iter().next().ok_or(error.into()),
        }
    }

    /// The version that an address names, if the asker may read it and its owner has it now.
    async fn wanted(
        &self,
        grant: &Grant,
        key: &ArchiveKey,
        format: ArchiveFormat,
    ) -> Result<Option<(RepositoryName, WantedArchive)>, CannotTell> {
        let Some(entry) = self.packages.resolve(grant, key.package.as_str()).await? else {
            return Ok(None);
        };
        let owner = entry.published.owner.clone();
        let Some(content) = self.database.versions(&owner, &key.package).await? else {
            return Ok(None);
        };
        Ok(choose(&content, key, format).map(|wanted| (owner, wanted)))
    }

    async fn fetch(
        self: &Arc<Self>,
        repository: &RepositoryName,
        key: &ArchiveKey,
        wanted: WantedArchive,
    ) -> Result<Archive, DistError> {
        let (service, name, address) = (Arc::clone(self), repository.clone(), key.clone());
        let work = move || async move { service.fetch_now(name, address, wanted).await }.boxed();
        let fetched = self
            .fetches
            .join((repository.clone(), key.clone()), work)
            .await;
        fetched.unwrap_or_else(|| Err(unavailable("shutting down", Some(Duration::from_secs(1)))))
    }

    async fn fetch_now(
        self: Arc<Self>,
        repository: RepositoryName,
        key: ArchiveKey,
        wanted: WantedArchive,
    ) -> Result<Archive, DistError> {
        let turn = self.turn(&repository, &key, wanted.format);
        let turn = tokio::time::timeout(FETCH_TIMEOUT, turn).await;
        let _claim = match turn.unwrap_or_else(|_| Err(unavailable("it takes too long", None)))? {
            Turn::Ours(claim) => claim,
            Turn::Done(archive) => return Ok(archive),
        };
        let received =
            tokio::time::timeout(FETCH_TIMEOUT, self.receive(&repository, &wanted)).await;
        let received = received.unwrap_or_else(|_| {
            let what = format!("the archive of {}", key.package);
            Err(SourceError::Unavailable {
                what,
                problem: "it took too long".to_owned(),
                retry_after: None,
            })
        });
        let received = received.and_then(|received| verify(received, &wanted));
        let received = received.map_err(|error| self.explain(&key, error))?;
        let promised = wanted.version.dist().and_then(|dist| dist.shasum.clone());
        let archive = self.keep(repository, key, wanted.format, received).await?;
        if promised.as_ref() != Some(&archive.sha1) {
            // Only now is the checksum known that clients can verify.
            let (service, package) = (Arc::clone(&self), archive.key.package.clone());
            tokio::spawn(async move { service.publish_checksum(&package).await });
        }
        Ok(archive)
    }

    /// Waits until this process may fetch an archive, or another one has: one download in the whole installation. A
    /// claim that is lost on the way costs a second download at most.
    async fn turn(
        &self,
        repository: &RepositoryName,
        key: &ArchiveKey,
        format: ArchiveFormat,
    ) -> Result<Turn, DistError> {
        let ArchiveKey {
            package,
            version,
            reference,
        } = key;
        let extension = format.extension();
        let what = format!("archive {repository} {package} {version} {reference}{extension}");
        let mut waits = false;
        loop {
            let claim = Claim::make(&self.database, &what).await;
            let claim = claim.map_err(CannotTell::from)?;
            // Looked for under the claim: whoever had it before has stored it by now.
            if let Some(archive) = self.stored_since(repository, key, format).await? {
                return Ok(Turn::Done(archive));
            }
            if let Some(claim) = claim {
                return Ok(Turn::Ours(claim));
            }
            if !std::mem::replace(&mut waits, true) {
                self.telemetry.archive_waits.increment();
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// What an earlier flight stored after the asker had looked, but before this flight began.
    async fn stored_since(
        &self,
        repository: &RepositoryName,
        key: &ArchiveKey,
        format: ArchiveFormat,
    ) -> Result<Option<Archive>, DistError> {
        let archives = self
            .database
            .archives(key)
            .await
            .map_err(CannotTell::from)?;
        let own = |archive: &Archive| archive.repository == *repository && archive.format == format;
        let Some(archive) = archives.into_iter().find(own) else {
            return Ok(None);
        };
        let there = self.is_whole(&archive).await?;
        Ok(there.then_some(archive))
    }

    async fn publish_checksum(&self, package: &PackageName) {
        if let Err(error) = self.publisher.refresh(package).await {
            tracing::warn!(%package, %error, "a checksum could not be published yet");
        }
    }

    /// Publishes the checksum of a stored archive if clients do not see it: the program may have ended, or the
    /// database failed, between storing the one and publishing the other.
    async fn make_up_for(self: Arc<Self>, archive: Archive) {
        if let Ok(false) = self.shows_checksum(&archive).await {
            self.publish_checksum(&archive.key.package).await;
        }
    }

    async fn shows_checksum(&self, archive: &Archive) -> Result<bool, DatabaseError> {
        for channel in [Channel::Stable, Channel::Dev] {
            let package = &archive.key.package;
            let stored = self.database.document(package, channel, Encoding::Zstd);
            let Some(stored) = stored.await? else {
                continue;
            };
            let sha1 = archive.sha1.clone();
            let search = move || {
                let text = decompress(&stored.bytes, Encoding::Zstd).unwrap_or_default();
                std::str::from_utf8(&text).is_ok_and(|text| text.contains(&sha1))
            };
            // What cannot be searched any more, at the end of the program, needs nothing done about it.
            if tokio::task::spawn_blocking(search).await.unwrap_or(true) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn receive(
        &self,
        repository: &RepositoryName,
        wanted: &WantedArchive,
    ) -> Result<Received, SourceError> {
        let installation = self.catalog.installation();
        let gone = || SourceError::Gone {
            what: wanted.package.to_string(),
            problem: "its repository was removed".to_owned(),
        };
        let repository = installation.repository(repository).ok_or_else(gone)?;
        let opened = self.syncs.opened(repository)?;
        let stopped = |_| SourceError::Unavailable {
            what: wanted.package.to_string(),
            problem: "shutting down".to_owned(),
            retry_after: None,
        };
        let _own_turn = opened.archives.acquire().await.map_err(stopped)?;
        let _turn = self.slots.acquire().await.map_err(stopped)?;
        let staged = self.storage.stage().await.map_err(SourceError::Storage)?;
        let mut sink = ArchiveSink::new(staged, installation.limits().max_archive_size);
        opened.source.archive(wanted, &mut sink).await?;
        sink.finish()
    }

    /// Storage first, then the database: a crash in between leaves a blob that the next fetch finds.
    async fn keep(
        &self,
        repository: RepositoryName,
        key: ArchiveKey,
        format: ArchiveFormat,
        received: Received,
    ) -> Result<Archive, DistError> {
        let Received {
            size,
            sha1,
            sha256,
            staged,
            ..
        } = received;
        let blob = BlobId(sha256);
        let committed = staged.commit(&blob).await;
        committed.map_err(|error| self.no_storage(&error))?;
        let archive = Archive {
            repository,
            key,
            format,
            blob,
            sha1,
            size,
        };
        let kept = self
            .database
            .add_archive(&archive)
            .await
            .map_err(CannotTell::from)?;
        if kept.blob != blob {
            return Err(DistError::Gone(format!(
                "the archive of {} is lost, and its source now has other bytes than were served before",
                kept.key.package
            )));
        }
        self.publisher.note_archive(&kept);
        self.telemetry.archive_fetches.increment();
        self.telemetry.archive_bytes.add(size);
        tracing::info!(package = %kept.key.package, repository = %kept.repository, size, "archive stored");
        Ok(kept)
    }

    /// Gets a lost archive back, if its source still has the same bytes.
    async fn refetch(self: &Arc<Self>, lost: &Archive) -> Result<Archive, DistError> {
        let content = self
            .database
            .versions(&lost.repository, &lost.key.package)
            .await
            .map_err(CannotTell::from)?;
        let wanted = content.and_then(|content| choose(&content, &lost.key, lost.format));
        let gone = || {
            DistError::Gone(format!(
                "the archive of {} is lost, and its source no longer has it",
                lost.key.package
            ))
        };
        let fetched = self.fetch(&lost.repository, &lost.key, wanted.ok_or_else(gone)?);
        fetched.await.map_err(|error| match error {
            DistError::Defective { package, defect } => DistError::Gone(format!(
                "the archive of {package} is lost, and what its source has in its place cannot be served: {defect}"
            )),
            error => error,
        })
    }

    /// What to tell whoever asked for an archive when the storage did not do it.
    pub fn no_storage(&self, error: &StorageError) -> DistError {
        self.telemetry.storage_failures.increment();
        tracing::error!(%error, "an archive could not be read or stored");
        unavailable(
            "the archive storage does not answer; try again in a moment",
            None,
        )
    }

    fn explain(&self, key: &ArchiveKey, error: SourceError) -> DistError {
        let package = &key.package;
        tracing::warn!(%package, version = key.version, %error, "an archive could not be had");
        match error {
            SourceError::Defective(defect) => {
                self.telemetry.archive_defects.increment();
                DistError::Defective {
                    package: package.clone(),
                    defect,
                }
            }
            SourceError::Gone { .. } => DistError::Gone(format!(
                "the archive of {package} {} is no longer in its repository",
                key.version
            )),
            SourceError::Storage(error) => self.no_storage(&error),
            error => unavailable(
                &format!(
                    "the archive of {package} {} cannot be had from its repository now; try again later",
                    key.version
                ),
                error.retry_after(),
            ),
        }
    }
}
