//! The one place that writes what is served.
//!
//! A name is published as its rightful owner has it ([`Catalog::rightful_owner`]). Changes of content come from syncs,
//! changes of owner from syncs and from new manifests; both end in one transaction, then in memory, then in word to
//! the other replicas.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument;

use super::{
    audit::AuditService,
    catalog::Catalog,
    render::{Checksums, Prepared, RenderedWith, publication},
};
use crate::{
    domain::{
        archive::Archive,
        audit::{Action, Actor, Event},
        metadata::PackageVersions,
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::{
        cache::{Cache, Change},
        database::{
            Applied, Changes, Database, DatabaseError, Fence, Held, Publication, PutPackage,
            Revision,
        },
    },
    telemetry::Telemetry,
};

/// How many names one transaction changes at most.
pub const BATCH: usize = 256;

/// How often a change is decided anew because another process changed the same packages first.
const MAX_TRIES: u32 = 20;
/// How long a change waits for an installation that another process has declared to be in force here.
const ADOPTION: Duration = Duration::from_secs(5);

/// Writes what is served, one writer at a time.
pub struct Publisher {
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    cache: Arc<dyn Cache>,
    audit: Arc<AuditService>,
    telemetry: Arc<Telemetry>,
    turn: Arc<Mutex<()>>,
    /// How often documents were rendered because of a new archive.
    archives: AtomicU64,
}

/// What a change is for. What has to be written for it depends on what is there.
enum Intent<'a> {
    /// A repository has these packages.
    Put(&'a RepositoryName, &'a [Prepared]),
    /// A repository no longer has these packages.
    Remove(&'a RepositoryName, &'a [PackageName]),
    /// These names go to their rightful owners.
    Settle(&'a [PackageName]),
    /// These names are rendered again, and go to their rightful owners.
    Render(&'a [PackageName]),
}

impl Intent<'_> {
    /// Whose doing it is.
    fn actor(&self, fence: Option<Fence>) -> Actor<'static> {
        match self {
            Self::Put(..) => Actor::Sync,
            // A sync has a claim; who removes a repository has none.
            Self::Remove(..) if fence.is_some() => Actor::Sync,
            Self::Remove(..) | Self::Settle(_) | Self::Render(_) => Actor::Manifests,
        }
    }
}

/// What came of an attempt to write.
enum Outcome {
    Done(Turn),
    /// Another process was faster; memory has caught up.
    Outdated(Turn),
}

/// Leave to write what is served. A change that was begun is carried to its end with it.
type Turn = OwnedMutexGuard<()>;

impl Publisher {
    /// A publisher over the shared memory.
    pub fn new(
        database: Arc<dyn Database>,
        catalog: Arc<Catalog>,
        cache: Arc<dyn Cache>,
        audit: Arc<AuditService>,
        telemetry: Arc<Telemetry>,
    ) -> Self {
        Self {
            database,
            catalog,
            cache,
            audit,
            telemetry,
            turn: Arc::default(),
            archives: AtomicU64::new(0),
        }
    }

    async fn turn(&self) -> Turn {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// No checksums, if no archive of a repository is stored: then there is no need to look for each of its packages.
    pub async fn no_checksums(
        &self,
        repository: &RepositoryName,
    ) -> Result<Option<Checksums>, DatabaseError> {
        let archives = self.archives.load(Ordering::Acquire);
        let none = Checksums::new(Vec::new(), archives);
        let has_archives = self.database.has_archives(repository).await?;
        Ok((!has_archives).then_some(none))
    }

    /// The checksums of the archives that are stored of a repository's package.
    pub async fn checksums(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Checksums, DatabaseError> {
        // Before the look-up, so that an archive that comes during it is noticed.
        let archives = self.archives.load(Ordering::Acquire);
        let stored = self.database.archives_of(repository, package).await?;
        Ok(Checksums::new(stored, archives))
    }

    /// Stores packages of one repository and publishes those it owns. A sync does so under its claim.
    pub async fn put(
        &self,
        repository: &RepositoryName,
        prepared: Vec<Prepared>,
        fence: Option<Fence>,
    ) -> Result<(), DatabaseError> {
        let turn = self.turn().await;
        self.telemetry.packages_written.add(prepared.len() as u64);
        let intent = Intent::Put(repository, &prepared);
        self.carry_out(intent, fence, turn).await.map(drop)
    }

    /// Removes packages that a repository no longer has. Where another repository has the name, it becomes the owner.
    pub async fn remove(
        &self,
        repository: &RepositoryName,
        packages: &[PackageName],
        fence: Option<Fence>,
    ) -> Result<(), DatabaseError> {
        let mut turn = self.turn().await;
        for batch in packages.chunks(BATCH) {
            let intent = Intent::Remove(repository, batch);
            turn = self.carry_out(intent, fence, turn).await?;
        }
        Ok(())
    }

    /// Gives every name to its rightful owner, after the installation changed. With `everything`, documents whose
    /// owner stands are rendered again too.
    pub async fn settle_owners(&self, everything: bool) -> Result<(), DatabaseError> {
        let mut turn = self.turn().await;
        let mut names: Vec<PackageName> = Vec::new();
        self.catalog.each(|name, _| names.push(name.clone()));
        for repository in self.catalog.holders() {
            names.extend(self.catalog.held_by(&repository));
        }
        names.sort();
        names.dedup();
        for batch in names.chunks(BATCH) {
            let intent = if everything {
                Intent::Render(batch)
            } else {
                Intent::Settle(batch)
            };
            turn = self.carry_out(intent, None, turn).await?;
        }
        Ok(())
    }

    /// Renders a package of its owner once more, after an archive of it was stored.
    pub async fn refresh(&self, package: &PackageName) -> Result<(), DatabaseError> {
        let turn = self.turn().await;
        self.archives.fetch_add(1, Ordering::AcqRel);
        let intent = Intent::Render(std::slice::from_ref(package));
        self.carry_out(intent, None, turn).await.map(drop)
    }

    /// Records that an archive was stored.
    pub(super) fn note_archive(&self, archive: &Archive) {
        self.audit.note(&Event {
            subject: Some(archive.key.package.as_str()),
            version: Some(&archive.key.version),
            repository: Some(archive.repository.as_str()),
            ..Event::new(Actor::Broker, Action::ArchiveStored)
        });
    }

    /// Takes over into memory what other processes changed.
    pub async fn catch_up(&self) -> Result<(), DatabaseError> {
        let _turn = self.turn().await;
        take_over(&*self.database, &self.catalog).await
    }

    /// Decides what an intent comes to and writes it; decides again if another process was faster.
    async fn carry_out(
        &self,
        intent: Intent<'_>,
        fence: Option<Fence>,
        mut turn: Turn,
    ) -> Result<Turn, DatabaseError> {
        self.audit.make_room().await;
        let actor = intent.actor(fence);
        for attempt in 0..MAX_TRIES {
            let mut changes = self.decide(&intent).await?;
            changes.fence = fence;
            let declared = changes.declared;
            if attempt > 0 && fence.is_none() {
                self.leave_out_what_others_put(&mut changes);
            }
            match self.commit(changes, actor, turn).await? {
                Outcome::Done(turn) => return Ok(turn),
                Outcome::Outdated(back) => turn = self.up_to_date(declared, back).await?,
            }
        }
        Err(DatabaseError::Outdated)
    }

    /// Waits for the installation that is declared by now, if that is why what was decided under another one is
    /// outdated. Others may write meanwhile.
    async fn up_to_date(
        &self,
        decided_under: Option<Revision>,
        turn: Turn,
    ) -> Result<Turn, DatabaseError> {
        let declared = Some(self.database.revisions().await?.declared);
        if decided_under.is_none() || decided_under == declared {
            return Ok(turn);
        }
        drop(turn);
        let until = Instant::now() + ADOPTION;
        while self.catalog.installation().declared() == decided_under && Instant::now() < until {
            tokio::time::sleep(ADOPTION / 100).await;
        }
        Ok(self.turn().await)
    }

    async fn decide(&self, intent: &Intent<'_>) -> Result<Changes, DatabaseError> {
        let installation = self.catalog.installation();
        let mut changes = Changes {
            seen: self.catalog.seen(),
            declared: installation.declared(),
            ..Changes::default()
        };
        match *intent {
            // It was removed while it was being read.
            Intent::Put(repository, _) if installation.repository(repository).is_none() => {}
            Intent::Put(repository, prepared) => {
                for prepared in prepared {
                    self.decide_put(repository, prepared, &mut changes).await?;
                }
            }
            Intent::Remove(repository, packages) => {
                for package in packages {
                    let next =
                        self.catalog
                            .rightful_owner(package.as_str(), None, Some(repository));
                    self.settle(package, next, &mut changes).await?;
                    changes.remove.push((repository.clone(), package.clone()));
                }
            }
            Intent::Settle(packages) => {
                for package in packages {
                    let owner = self.catalog.rightful_owner(package.as_str(), None, None);
                    self.settle(package, owner, &mut changes).await?;
                }
            }
            Intent::Render(packages) => {
                for package in packages {
                    let owner = self.catalog.rightful_owner(package.as_str(), None, None);
                    self.render(package, owner, &mut changes).await?;
                }
            }
        }
        Ok(changes)
    }

    /// What was read on demand may be older than what another process has stored of it meanwhile.
    fn leave_out_what_others_put(&self, changes: &mut Changes) {
        let held = |put: &PutPackage| self.catalog.held(&put.repository, put.package.as_str());
        let known: HashSet<PackageName> = changes
            .put
            .extract_if(.., |put| held(put).is_some())
            .map(|put| put.package)
            .collect();
        changes
            .publish
            .retain(|publication| !known.contains(&publication.package));
    }

    async fn decide_put(
        &self,
        repository: &RepositoryName,
        prepared: &Prepared,
        changes: &mut Changes,
    ) -> Result<(), DatabaseError> {
        let put = &prepared.put;
        let owner = self
            .catalog
            .rightful_owner(put.package.as_str(), Some(repository), None);
        if owner.as_ref() == Some(repository) {
            let now = RenderedWith {
                urls: self.catalog.installation().urls().clone(),
                archives: self.archives.load(Ordering::Acquire),
            };
            changes.publish.push(if prepared.rendered_with == now {
                prepared.publication.clone()
            } else {
                self.rendered_again(put).await?
            });
        }
        changes.put.push(put.clone());
        Ok(())
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
            Some(owner) => self.database.versions(owner, package).await,
            None => Ok(None),
        };
        let content = match content {
            Err(error @ DatabaseError::Corrupt { .. }) => {
                tracing::error!(%package, %error, "it stays as it was until its next sync");
                return Ok(());
            }
            content => content?,
        };
        let (Some(owner), Some(content)) = (owner, content) else {
            if self.catalog.find(package.as_str()).is_some() {
                changes.withdraw.push(package.clone());
            }
            return Ok(());
        };
        changes
            .publish
            .push(self.rendered(&owner, package, content).await?);
        Ok(())
    }

    /// What was prepared under other circumstances, rendered under those of now.
    async fn rendered_again(&self, put: &PutPackage) -> Result<Publication, DatabaseError> {
        let content = PackageVersions::decode(&put.package, &put.content);
        let content = content.map_err(|problem| DatabaseError::Corrupt {
            what: format!("the versions of {}", put.package),
            problem,
        })?;
        self.rendered(&put.repository, &put.package, content).await
    }

    async fn rendered(
        &self,
        owner: &RepositoryName,
        package: &PackageName,
        content: PackageVersions,
    ) -> Result<Publication, DatabaseError> {
        let checksums = self.checksums(owner, package).await?;
        let installation = self.catalog.installation();
        let (owner, package) = (owner.clone(), package.clone());
        let rendered = tokio::task::spawn_blocking(move || {
            publication(&owner, &package, &content, installation.urls(), &checksums)
        });
        rendered.await.map_err(|_| stopped("render a document"))
    }

    /// Database first, then memory, then word to the others. Once begun, this goes on to its end also if the caller
    /// does not wait for it: memory must not stay behind the database.
    async fn commit(
        &self,
        changes: Changes,
        actor: Actor<'static>,
        turn: Turn,
    ) -> Result<Outcome, DatabaseError> {
        if changes.put.is_empty()
            && changes.remove.is_empty()
            && changes.publish.is_empty()
            && changes.withdraw.is_empty()
        {
            return Ok(Outcome::Done(turn));
        }
        let (database, catalog, cache, audit) = (
            Arc::clone(&self.database),
            Arc::clone(&self.catalog),
            Arc::clone(&self.cache),
            Arc::clone(&self.audit),
        );
        let work = async move {
            let stored = database.apply(&changes, Stamp::now()).await;
            match stored {
                Ok(applied) => {
                    audit.note_changes(actor, &catalog, &changes, &applied);
                    tell(&catalog, &*cache, changes, applied).await;
                    Ok(Outcome::Done(turn))
                }
                Err(DatabaseError::Outdated) => {
                    take_over(&*database, &catalog).await?;
                    Ok(Outcome::Outdated(turn))
                }
                Err(error) => Err(error),
            }
        };
        tokio::spawn(work.in_current_span())
            .await
            .unwrap_or_else(|_| Err(stopped("store a change")))
    }
}

/// Memory of this process, then that of the others.
async fn tell(catalog: &Catalog, cache: &dyn Cache, changes: Changes, applied: Applied) {
    let mut names: Vec<PackageName> = applied
        .published
        .iter()
        .map(|p| p.package.clone())
        .collect();
    names.extend(changes.withdraw.iter().cloned());
    let held = changes.put.into_iter().map(|put| Held {
        repository: put.repository,
        package: put.package,
        versions: put.versions,
        skipped: put.skipped,
    });
    catalog.apply(applied, held.collect(), &changes.remove, &changes.withdraw);
    if let Err(error) = cache.announce(Change::Packages(names)).await {
        tracing::debug!(%error, "other replicas will notice the change later");
    }
}

/// Memory after the database. Only with a [`Turn`], so that nothing newer is overwritten.
async fn take_over(database: &dyn Database, catalog: &Catalog) -> Result<(), DatabaseError> {
    let delta = database.changed_since(catalog.seen()).await?;
    catalog.take_over(delta);
    Ok(())
}

fn stopped(action: &'static str) -> DatabaseError {
    DatabaseError::Unavailable {
        action,
        problem: "shutting down".into(),
    }
}
