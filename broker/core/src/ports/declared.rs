//! Repositories that are declared in the database, for processes that have no manifests: a part of
//! [`Database`](super::database::Database).

use async_trait::async_trait;

use super::database::{DatabaseError, Revision};
use crate::domain::{names::RepositoryName, sealed::Sealed};

/// Names one content of a row; never used again for another one, not even if the row is removed and comes back.
pub type Generation = Revision;

/// Declared repositories. Whatever is written raises
/// [`Revisions::declared`](super::database::Revisions::declared); what is the same as before is not written.
#[async_trait]
pub trait DeclaredStore: Send + Sync {
    /// What is declared of the installation as a whole, in the words of whoever declared it; `None` before that.
    async fn declared_installation(&self) -> Result<Option<String>, DatabaseError>;

    /// Declares what holds for the installation as a whole. `false` if it was declared so before.
    async fn declare_installation(&self, text: &str) -> Result<bool, DatabaseError>;

    /// Every declared repository, by name.
    async fn declared(&self) -> Result<Vec<DeclaredRecord>, DatabaseError>;

    /// Makes the declared repositories exactly these, each name once, and returns which rows that changed.
    ///
    /// [`DatabaseError::Outdated`] if one of them was changed after [`Declaration::seen`].
    async fn declare_all(&self, all: &[Declaration]) -> Result<Redeclared, DatabaseError>;

    /// Declares one repository beside the others. `false` if it was declared so before.
    ///
    /// [`DatabaseError::Outdated`] if it was changed after [`Declaration::seen`].
    async fn declare_one(&self, one: &Declaration) -> Result<bool, DatabaseError>;

    /// Removes one repository, whatever is declared of it. `false` if there is none of that name. What was synced of it
    /// is not touched.
    async fn withdraw(&self, name: &RepositoryName) -> Result<bool, DatabaseError>;

    /// Replaces sealed credentials by the same ones under another key: the row's generation stays. `false`, and nothing
    /// is written, if they are no longer those of `before`.
    async fn reseal(
        &self,
        name: &RepositoryName,
        before: &Sealed,
        after: &Sealed,
    ) -> Result<bool, DatabaseError>;
}

/// A declared repository as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredRecord {
    /// Its name.
    pub name: RepositoryName,
    /// What is declared.
    pub content: DeclaredContent,
    /// When the content was last changed. Sealing it anew is no change.
    pub generation: Generation,
}

/// What a row says of its repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredContent {
    /// Its settings as JSON ([`write_settings`](crate::domain::declared::write_settings)).
    pub settings: String,
    /// Its credentials ([`pack`](crate::domain::declared::pack)), if it has any.
    pub sealed: Option<Sealed>,
}

/// A repository that is to be declared.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Its name.
    pub name: RepositoryName,
    /// The generation of the row that this was decided on; `None` if there was none of that name.
    pub seen: Option<Generation>,
    /// What to write; `None` leaves the row as it is, however it is sealed by now.
    pub content: Option<DeclaredContent>,
}

/// What came of declaring repositories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redeclared {
    /// Those that are new, or have another content than before.
    pub changed: Vec<RepositoryName>,
    /// Those that are no longer declared.
    pub removed: Vec<RepositoryName>,
}

impl Redeclared {
    /// Whether everything was so before.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty()
    }
}
