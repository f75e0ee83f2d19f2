//! The state of an installation: what was synced, what is served, who may read it.
//!
//! Every method that writes is one transaction: after `Ok` its effect survives a crash, after `Err` there is none.
//! Times are kept to the microsecond.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{audit::AuditStore, declared::DeclaredStore};
use crate::domain::{
    archive::{Archive, ArchiveKey},
    metadata::{Channel, PackageVersions},
    names::{PackageName, RepositoryName},
    repository::Repository,
    skipped::Skipped,
    stamp::Stamp,
    token::TokenHash,
};

/// The whole database. One driver implements all of it.
pub trait Database:
    PackageStore
    + RepositoryStore
    + TokenStore
    + ArchiveStore
    + ClaimStore
    + SyncRequestStore
    + DeclaredStore
    + AuditStore
    + Pooled
{
}

impl<T> Database for T where
    T: PackageStore
        + RepositoryStore
        + TokenStore
        + ArchiveStore
        + ClaimStore
        + SyncRequestStore
        + DeclaredStore
        + AuditStore
        + Pooled
{
}

/// A database that is reached over connections.
pub trait Pooled {
    /// How many there are of them now.
    fn connections(&self) -> Connections;
}

/// Connections to the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connections {
    /// Those that are open, used or not.
    pub open: u32,
    /// Of these, those that nobody uses.
    pub idle: u32,
    /// As many as there may be.
    pub most: u32,
}

/// Packages by repository, and what is published of them.
#[async_trait]
pub trait PackageStore: Send + Sync {
    /// Every package of every repository and every published name: what the broker keeps in memory.
    async fn index(&self) -> Result<Index, DatabaseError>;

    /// The versions of a package in one repository.
    async fn versions(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Option<PackageVersions>, DatabaseError>;

    /// A published document in one encoding, with the stamp it was published under.
    async fn document(
        &self,
        package: &PackageName,
        channel: Channel,
        encoding: Encoding,
    ) -> Result<Option<StoredDocument>, DatabaseError>;

    /// Applies changes in one transaction and gives every changed document its stamp
    /// ([`StampClock`](crate::domain::stamp::StampClock)). A document whose digest is already published keeps its
    /// stamp. If a published name disappears or changes its owner, [`Index::absent`] moves as well.
    ///
    /// [`DatabaseError::Outdated`] if somebody else changed one of these packages after [`Changes::seen`]: what to
    /// write has then to be decided again.
    async fn apply(&self, changes: &Changes, now: Stamp) -> Result<Applied, DatabaseError>;

    /// The source's validator for each package of a repository that has one ([`PutPackage::validator`]).
    async fn validators(
        &self,
        repository: &RepositoryName,
    ) -> Result<HashMap<PackageName, String>, DatabaseError>;

    /// How often each part of the state was changed so far: what a replica asks again and again, so it costs little.
    async fn revisions(&self) -> Result<Revisions, DatabaseError>;

    /// The packages that were changed after a revision, as they are now, in one snapshot.
    async fn changed_since(&self, seen: Revision) -> Result<Delta, DatabaseError>;

    /// The stamp of the root file of a view. The one given last, if `digest` is still the same; else a new unique one.
    async fn root_stamp(
        &self,
        view: &[u8; 32],
        digest: &[u8; 32],
        now: Stamp,
    ) -> Result<Stamp, DatabaseError>;
}

/// Grows with each committed change, in the order of the commits: whoever has seen a revision has seen all before it.
pub type Revision = i64;

/// The present revision of each part of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revisions {
    /// What is held and published of packages.
    pub packages: Revision,
    /// The tokens.
    pub tokens: Revision,
    /// The repositories' records.
    pub repositories: Revision,
    /// The declared repositories.
    pub declared: Revision,
}

/// Packages that were changed, as they are at a revision.
#[derive(Debug, Default)]
pub struct Delta {
    /// The revision of [`Revisions::packages`] this leads to.
    pub revision: Revision,
    /// The names that were changed. One that is neither held nor published any more is gone.
    pub packages: Vec<PackageName>,
    /// Every repository that has one of them.
    pub held: Vec<Held>,
    /// Those that are served.
    pub published: Vec<Published>,
    /// [`Index::absent`] now.
    pub absent: Stamp,
}

/// What is held in memory of the packages.
#[derive(Debug, Default)]
pub struct Index {
    /// The revision of [`Revisions::packages`] that this is.
    pub revision: Revision,
    /// Every package of every repository.
    pub held: Vec<Held>,
    /// Every published name.
    pub published: Vec<Published>,
    /// When a published name last disappeared.
    pub absent: Stamp,
}

/// A package in a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageName,
    /// How many versions it has.
    pub versions: u32,
    /// How many were skipped.
    pub skipped: u32,
}

/// A name that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The name.
    pub package: PackageName,
    /// The repository that owns it.
    pub owner: RepositoryName,
    /// The stamp of the document of tagged versions.
    pub stable: Stamp,
    /// The stamp of the document of branches.
    pub dev: Stamp,
    /// The description of the newest version, for searches.
    pub description: String,
    /// Composer's package type, for searches.
    pub kind: String,
    /// Whether it is abandoned, for searches: empty for no, else the replacement or `true`.
    pub abandoned: String,
}

/// One transaction's worth of changes.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// Every change up to this revision is taken into account in these.
    pub seen: Revision,
    /// Decided under the installation that was declared at this revision: once another one is declared, the changes are
    /// refused with [`DatabaseError::Outdated`].
    pub declared: Option<Revision>,
    /// Made under this claim: once that is over, the changes are refused with [`DatabaseError::Fenced`].
    pub fence: Option<Fence>,
    /// Packages to write, by repository.
    pub put: Vec<PutPackage>,
    /// Packages that a repository no longer has. Their archives stay.
    pub remove: Vec<(RepositoryName, PackageName)>,
    /// Names whose published documents change.
    pub publish: Vec<Publication>,
    /// Names that nobody has any more.
    pub withdraw: Vec<PackageName>,
}

impl Changes {
    /// Whether they were decided under the installation that is declared, or do not depend on it.
    pub fn fit(&self, now: &Revisions) -> bool {
        self.declared
            .is_none_or(|declared| declared == now.declared)
    }
}

/// A package's new content.
#[derive(Clone, Debug)]
pub struct PutPackage {
    /// The repository.
    pub repository: RepositoryName,
    /// The package.
    pub package: PackageName,
    /// The source's validator for it.
    pub validator: Option<String>,
    /// [`PackageVersions::encode`].
    pub content: Bytes,
    /// How many versions it has.
    pub versions: u32,
    /// How many were skipped.
    pub skipped: u32,
}

/// What a name is served as from now on.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The name.
    pub package: PackageName,
    /// The repository that owns it.
    pub owner: RepositoryName,
    /// The document of tagged versions.
    pub stable: DocumentBytes,
    /// The document of branches.
    pub dev: DocumentBytes,
    /// See [`Published::description`].
    pub description: String,
    /// See [`Published::kind`].
    pub kind: String,
    /// See [`Published::abandoned`].
    pub abandoned: String,
}

/// A rendered document in the encodings it is served in.
#[derive(Clone, Debug)]
pub struct DocumentBytes {
    /// SHA-256 of the JSON text.
    pub digest: [u8; 32],
    /// Compressed with gzip.
    pub gzip: Bytes,
    /// Compressed with zstd.
    pub zstd: Bytes,
}

/// How a stored document is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// RFC 1952; every client reads it.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Encoding {
    /// The content-coding token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// A document as it is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredDocument {
    /// Its `Last-Modified`.
    pub stamp: Stamp,
    /// Its bytes in the encoding asked for.
    pub bytes: Bytes,
}

/// What [`PackageStore::apply`] made of the publications.
#[derive(Debug, Default)]
pub struct Applied {
    /// The names in [`Changes::publish`], with their stamps now.
    pub published: Vec<Published>,
    /// [`Index::absent`] now.
    pub absent: Stamp,
    /// The revision of [`Revisions::packages`] that this change made; that of before if there was nothing to do.
    pub revision: Revision,
}

/// Repositories, and how their syncs went.
#[async_trait]
pub trait RepositoryStore: Send + Sync {
    /// Every repository's record.
    async fn repositories(&self) -> Result<Vec<RepositoryRecord>, DatabaseError>;

    /// Creates or replaces a record.
    ///
    /// [`DatabaseError::Fenced`] if there is a `fence` and its claim is over.
    async fn save_repository(
        &self,
        record: &RepositoryRecord,
        fence: Option<Fence>,
    ) -> Result<(), DatabaseError>;

    /// Removes a repository's record. Its packages are removed through [`PackageStore::apply`] before; its archives
    /// stay.
    async fn forget_repository(&self, name: &RepositoryName) -> Result<(), DatabaseError>;

    /// A setting of the installation, for instance what the published documents were rendered with.
    async fn setting(&self, key: &str) -> Result<Option<String>, DatabaseError>;

    /// Writes a setting.
    async fn save_setting(&self, key: &str, value: &str) -> Result<(), DatabaseError>;
}

/// What is kept of a repository between syncs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryRecord {
    /// Its name.
    pub name: RepositoryName,
    /// `composer`, `git` or `artifact`.
    pub kind: String,
    /// Its URL without userinfo.
    pub url: String,
    /// A digest of the settings its packages were read with; when it differs, everything is read again.
    pub fingerprint: String,
    /// [`Survey::state`](crate::ports::source::Survey::state) of the last complete sync.
    pub state: Option<String>,
    /// Names or patterns that a lazy source said it has.
    pub listing: Option<String>,
    /// When a sync last changed something.
    pub changed_at: Option<jiff::Timestamp>,
    /// When the last failed sync ended, and why; cleared by success.
    pub failure: Option<Failure>,
    /// What belongs to no package: refs or files left out, with the reasons.
    pub skipped: Vec<Skipped>,
}

impl RepositoryRecord {
    /// The record of a repository that was never synced under these settings.
    pub fn new(repository: &Repository, fingerprint: String) -> Self {
        Self {
            name: repository.name.clone(),
            kind: repository.kind.as_str().to_owned(),
            url: repository.url.clone(),
            fingerprint,
            state: None,
            listing: None,
            changed_at: None,
            failure: None,
            skipped: Vec::new(),
        }
    }
}

/// A failed sync.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// When it ended.
    pub at: jiff::Timestamp,
    /// How many syncs in a row failed.
    pub count: u32,
    /// Why, without secrets.
    pub message: String,
}

/// Tokens by name and by hash.
#[async_trait]
pub trait TokenStore: Send + Sync {
    /// Makes the stored tokens exactly these, and returns each one's floor: the unique stamp of the last change
    /// of its grant, in the order given. A token whose `hash` and `grant` did not change keeps its floor.
    async fn replace_tokens(
        &self,
        tokens: &[TokenRecord],
        now: Stamp,
    ) -> Result<Vec<Stamp>, DatabaseError>;

    /// All tokens with their floors.
    async fn tokens(&self) -> Result<Vec<(TokenRecord, Stamp)>, DatabaseError>;
}

/// A token as stored: its hash, never itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The `AccessToken`'s name.
    pub name: String,
    /// SHA-256 of the token.
    pub hash: TokenHash,
    /// What it allows as JSON ([`Permissions`](crate::domain::permissions::Permissions)).
    pub grant: String,
    /// When it stops working.
    pub expires_at: Option<jiff::Timestamp>,
}

/// Which archives are in storage.
#[async_trait]
pub trait ArchiveStore: Send + Sync {
    /// Archives at an address, of every repository that ever had it, in every format.
    async fn archives(&self, key: &ArchiveKey) -> Result<Vec<Archive>, DatabaseError>;

    /// Every archive of a package in a repository.
    async fn archives_of(
        &self,
        repository: &RepositoryName,
        package: &PackageName,
    ) -> Result<Vec<Archive>, DatabaseError>;

    /// Whether there is any archive of a repository.
    async fn has_archives(&self, repository: &RepositoryName) -> Result<bool, DatabaseError>;

    /// Records an archive whose blob is in storage. If one is there for the same repository, key and format, that one
    /// stays and is returned: archives never change.
    async fn add_archive(&self, archive: &Archive) -> Result<Archive, DatabaseError>;
}

/// Leave to do what one process at a time may do.
///
/// A claim ends when it is released or, if its process is gone, at the end of its lease. What a process writes that
/// was paused for longer than that is refused by the claim's [`Fence`].
#[async_trait]
pub trait ClaimStore: Send + Sync {
    /// Claims `what` for the time of `lease`; `None` if somebody has it. Time is the database's.
    async fn claim(&self, what: &str, lease: Duration) -> Result<Option<Fence>, DatabaseError>;

    /// Prolongs a claim to `lease` from now. `false` if it is over: somebody else may have made one.
    async fn renew(&self, fence: Fence, lease: Duration) -> Result<bool, DatabaseError>;

    /// Ends a claim. Ending one that is over is no error.
    async fn release(&self, fence: Fence) -> Result<(), DatabaseError>;
}

/// Syncs that somebody asked for, of whoever decides when syncs are. What is asked for again is one request, the last.
#[async_trait]
pub trait SyncRequestStore: Send + Sync {
    /// Asks for a sync of a repository. Whether it is declared is not looked at.
    async fn request_sync(&self, repository: &RepositoryName) -> Result<(), DatabaseError>;

    /// Every request, the oldest first.
    async fn sync_requests(&self) -> Result<Vec<SyncRequest>, DatabaseError>;

    /// Removes a request that is met. One that was made again meanwhile stays.
    async fn forget_sync_request(&self, request: &SyncRequest) -> Result<(), DatabaseError>;
}

/// A sync that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncRequest {
    /// Of which repository.
    pub repository: RepositoryName,
    /// Names the request; never used again for another one in the same database.
    pub number: i64,
}

/// Names one claim; never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fence(pub i64);

/// The database did not do what was asked.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// No connection, no space, a time-out: asking again can help.
    #[error("the database failed to {action}: {problem}")]
    Unavailable {
        /// What was being done.
        action: &'static str,
        /// The driver's account of it.
        problem: String,
    },
    /// Somebody else changed the same packages or declared repositories meanwhile: nothing was written.
    #[error("the same was changed by another process meanwhile")]
    Outdated,
    /// The claim under which this was to be written is over: nothing was written.
    #[error("another process has taken over this work")]
    Fenced,
    /// Stored data that this program cannot read.
    #[error("the database holds {what} that cannot be read: {problem}")]
    Corrupt {
        /// What it is.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
}
