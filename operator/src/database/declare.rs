//! Makes the rows of a database be what resources say.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError},
};

use package_broker_core::{
    broker::Broker,
    domain::{
        installation::{Installation, Limits},
        permissions::Permissions,
        repository::Repository,
    },
    ports::database::{DatabaseError, PackageStore, Revisions, TokenRecord},
    services::{declared::DeclaredService, user},
};
use package_broker_crds::PackageBroker;
use package_broker_drivers::cache::memory::Memory;
use package_broker_kinds::declared::{self, Undeclared};
use sha2::{Digest, Sha256};

use super::{Opened, ports};

/// Memory for rendered documents, and for word of changes: none are served here, and nobody listens. In bytes.
const MEMORY: u16 = 4096;

/// What should be declared.
pub(crate) struct Wanted {
    /// With the URL that clients use.
    pub(crate) broker: PackageBroker,
    pub(crate) repositories: Vec<Repository>,
    pub(crate) tokens: Vec<(TokenRecord, Permissions)>,
    /// Who may look at all of it.
    pub(crate) administrator: Option<user::Declared>,
    /// Tells one content from another: it changes whenever one of the above does.
    pub(crate) digest: [u8; 32],
    /// Which state of each repository that is, by name.
    pub(crate) states: BTreeMap<String, RepositoryState>,
}

/// A state of a Repository, with its Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RepositoryState {
    pub(crate) generation: Option<i64>,
    /// The version of the Secret; nothing if it names none.
    pub(crate) credentials: Option<String>,
}

/// What is declared.
#[derive(Clone)]
pub(crate) struct Declared {
    digest: [u8; 32],
    /// Those of the database after that: once they are others, somebody else has changed something.
    revisions: (i64, i64),
    pub(crate) repositories: Arc<HashMap<String, RepositoryState>>,
}

fn of(revisions: &Revisions) -> (i64, i64) {
    (revisions.declared, revisions.tokens)
}

impl Opened {
    /// Declares all of it, unless that is what the database has. `true` if something was to be done.
    ///
    /// # Errors
    /// See [`Undeclared`].
    pub(crate) async fn declare(&self, wanted: Wanted) -> Result<bool, Undeclared> {
        if self.is_declared(&wanted.digest).await? {
            return Ok(false);
        }
        let broker = self.engine().await?;
        let cache = Arc::new(Memory::new(MEMORY.into()));
        let service =
            DeclaredService::new(Arc::clone(&self.postgres) as _, cache, self.keys.clone());
        // Those that are valid now: what is withdrawn is to stop first.
        broker.follower.look().await?;
        let all = declared::Wanted {
            broker: &wanted.broker,
            repositories: wanted.repositories,
            tokens: wanted.tokens,
            administrator: wanted.administrator,
        };
        let done = declared::declare(&broker, &service, all).await;
        if let Err(error) = broker.audit.close().await {
            let lost = broker.audit.waiting();
            tracing::warn!(%error, lost, "records of the audit log could not be written");
        }
        done?;
        let revisions = of(&self.postgres.revisions().await?);
        *self.declared.lock().unwrap_or_else(PoisonError::into_inner) = Some(Declared {
            digest: wanted.digest,
            revisions,
            repositories: Arc::new(wanted.states.into_iter().collect()),
        });
        Ok(true)
    }

    /// Whether the database still has what was declared last.
    pub(crate) async fn stands(&self) -> bool {
        let Some(known) = self.declared() else {
            return false;
        };
        let now = self.postgres.revisions().await;
        now.is_ok_and(|now| of(&now) == known.revisions)
    }

    async fn is_declared(&self, digest: &[u8; 32]) -> Result<bool, DatabaseError> {
        let now = of(&self.postgres.revisions().await?);
        let mut known = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let stands = known
            .as_ref()
            .is_some_and(|known| known.digest == *digest && known.revisions == now);
        if !stands {
            *known = None;
        }
        Ok(stands)
    }

    /// The services over this database, for one change: what they keep in memory goes after it.
    async fn engine(&self) -> Result<Broker, DatabaseError> {
        let nothing = Installation::new("", Vec::new(), Vec::new(), Limits::default());
        Broker::open(
            ports::over(Arc::clone(&self.postgres)),
            nothing,
            MEMORY.into(),
        )
        .await
    }
}

/// A digest of parts, none of which can pass for a piece of another.
pub(crate) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.len().to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
