//! Repositories that live in the database: declared by whoever has the manifests, opened by whoever serves or syncs.

mod rotate;

use std::{collections::HashSet, sync::Arc};

use thiserror::Error;

pub use self::rotate::{KeyUse, Rotation};
use crate::{
    domain::{
        declared::{
            PackingError, Secrets, SettingsError, pack, read_settings, unpack, write_settings,
        },
        keyring::KeyRing,
        names::RepositoryName,
        repository::Repository,
        sealed::{OpenError, Row, SealError, Sealed},
    },
    ports::{
        cache::{Cache, Change},
        database::DatabaseError,
        declared::{
            Declaration, DeclaredContent, DeclaredRecord, DeclaredStore, Generation, Redeclared,
        },
    },
};

/// How often a change is decided again because another process was faster.
const MAX_TRIES: usize = 16;

/// Declares repositories and reads them, with their credentials sealed in between.
pub struct DeclaredService {
    store: Arc<dyn DeclaredStore>,
    cache: Arc<dyn Cache>,
    keys: KeyRing,
}

/// What [`DeclaredService::load`] found.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Those that can be used, by name.
    pub repositories: Vec<Repository>,
    /// Those that cannot. They are declared all the same: whoever has an earlier state of one goes on with that.
    pub problems: Vec<Problem>,
}

/// A declared repository that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("repository {name}: {error}")]
pub struct Problem {
    /// Its name.
    pub name: RepositoryName,
    /// Why, and what to do.
    pub error: RowError,
}

/// Why a row cannot be used. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RowError {
    /// Its settings are damaged or from a newer release.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Its credentials do not open.
    #[error("its credentials cannot be read: {0}")]
    Sealed(#[from] OpenError),
    /// Its credentials are from a newer release.
    #[error(transparent)]
    Packing(#[from] PackingError),
}

/// Repositories could not be declared, or their credentials not be sealed anew.
#[derive(Debug, Error)]
pub enum DeclareError {
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Two of the repositories have the same name: nothing was written.
    #[error("repository {0} is declared twice; give each repository its own name")]
    Twice(RepositoryName),
    /// The credentials could not be sealed: no row that was not done before was written.
    #[error("the credentials of repository {name} cannot be sealed: {error}")]
    Seal {
        /// The repository.
        name: RepositoryName,
        /// Why.
        error: SealError,
    },
    /// The settings could not be written as text: nothing was written.
    #[error("the settings of repository {name} cannot be written: {error}")]
    Settings {
        /// The repository.
        name: RepositoryName,
        /// Why.
        error: SettingsError,
    },
}

impl DeclaredService {
    /// A service that seals and opens with these keys.
    pub fn new(store: Arc<dyn DeclaredStore>, cache: Arc<dyn Cache>, keys: KeyRing) -> Self {
        Self { store, cache, keys }
    }

    /// Every declared repository. One that cannot be used does not keep the others from being so.
    pub async fn load(&self) -> Result<Loaded, DatabaseError> {
        let mut loaded = Loaded::default();
        for record in self.store.declared().await? {
            match self.read(&record) {
                Ok(repository) => loaded.repositories.push(repository),
                Err(error) => loaded.problems.push(Problem {
                    name: record.name,
                    error,
                }),
            }
        }
        Ok(loaded)
    }

    /// Makes the declared repositories exactly these, in one transaction, and returns which of them that changed. A
    /// repository that is declared so already keeps its row, whatever key that is sealed with. A row that cannot be
    /// used is replaced.
    pub async fn declare(&self, repositories: &[Repository]) -> Result<Redeclared, DeclareError> {
        let mut names = HashSet::new();
        if let Some(twice) = repositories.iter().find(|each| !names.insert(&each.name)) {
            return Err(DeclareError::Twice(twice.name.clone()));
        }
        for _ in 0..MAX_TRIES {
            let stored = self.store.declared().await?;
            let all = repositories
                .iter()
                .map(|repository| self.declaration(repository, &stored))
                .collect::<Result<Vec<_>, _>>()?;
            match self.store.declare_all(&all).await {
                Ok(redeclared) => {
                    if !redeclared.is_empty() {
                        self.announce().await;
                    }
                    return Ok(redeclared);
                }
                Err(DatabaseError::Outdated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DatabaseError::Outdated.into())
    }

    /// Declares one repository beside the others. `false` if it was declared so before.
    pub async fn declare_one(&self, repository: &Repository) -> Result<bool, DeclareError> {
        for _ in 0..MAX_TRIES {
            let stored = self.store.declared().await?;
            let one = self.declaration(repository, &stored)?;
            match self.store.declare_one(&one).await {
                Ok(changed) => {
                    if changed {
                        self.announce().await;
                    }
                    return Ok(changed);
                }
                Err(DatabaseError::Outdated) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(DatabaseError::Outdated.into())
    }

    /// What is declared of the installation as a whole, in the words it was declared in; `None` before that.
    pub async fn installation(&self) -> Result<Option<String>, DatabaseError> {
        self.store.declared_installation().await
    }

    /// Declares what holds for the installation as a whole. `false` if it was declared so before.
    pub async fn declare_installation(&self, text: &str) -> Result<bool, DatabaseError> {
        let changed = self.store.declare_installation(text).await?;
        if changed {
            self.announce().await;
        }
        Ok(changed)
    }

    /// Removes one repository from those declared. `false` if there is none of that name.
    pub async fn withdraw(&self, name: &RepositoryName) -> Result<bool, DatabaseError> {
        let removed = self.store.withdraw(name).await?;
        if removed {
            self.announce().await;
        }
        Ok(removed)
    }

    /// What to write so that a repository is declared. What is stored is compared opened: sealed, the same never looks
    /// the same.
    fn declaration(
        &self,
        repository: &Repository,
        stored: &[DeclaredRecord],
    ) -> Result<Declaration, DeclareError> {
        let known = stored.iter().find(|known| known.name == repository.name);
        let seen: Option<Generation> = known.map(|known| known.generation);
        let stands = known
            .and_then(|known| self.read(known).ok())
            .is_some_and(|known| known.same_as(repository));
        let content = if stands {
            None
        } else {
            Some(self.content(repository)?)
        };
        Ok(Declaration {
            name: repository.name.clone(),
            seen,
            content,
        })
    }

    fn content(&self, repository: &Repository) -> Result<DeclaredContent, DeclareError> {
        let name = || repository.name.clone();
        let settings = write_settings(repository).map_err(|error| DeclareError::Settings {
            name: name(),
            error,
        })?;
        let packed = pack(repository);
        let sealed = packed
            .map(|packed| self.seal(&repository.name, &packed))
            .transpose()?;
        Ok(DeclaredContent { settings, sealed })
    }

    fn seal(&self, name: &RepositoryName, packed: &[u8]) -> Result<Sealed, DeclareError> {
        let sealed = self.keys.seal(Row::credentials_of(name), packed);
        sealed.map_err(|error| DeclareError::Seal {
            name: name.clone(),
            error,
        })
    }

    fn read(&self, record: &DeclaredRecord) -> Result<Repository, RowError> {
        let secrets = match &record.content.sealed {
            Some(sealed) => {
                let packed = self.keys.open(Row::credentials_of(&record.name), sealed)?;
                unpack(&packed)?
            }
            None => Secrets::default(),
        };
        let settings = &record.content.settings;
        Ok(read_settings(record.name.clone(), settings, secrets)?)
    }

    async fn announce(&self) {
        if let Err(error) = self.cache.announce(Change::Everything).await {
            tracing::debug!(%error, "other processes will notice the change later");
        }
    }
}
