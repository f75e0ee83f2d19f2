//! Keeping memory up with what other processes change: replicas, syncs, whoever writes into the same database.
//!
//! Word of a change comes through the cache port and may be lost. So the database's revisions are looked at again and
//! again, whether or not there is word: what is missed by the one is found by the other, within [`LOOK`].

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::{broadcast::error::RecvError, watch};
use tokio_util::sync::CancellationToken;

use super::{
    catalog::Catalog, publish::Publisher, repository::RepositoryService, token::TokenService,
};
use crate::ports::{
    cache::Cache,
    database::{Database, DatabaseError, Revision},
};

/// The longest time between two looks. A change is therefore seen within it and the time of two queries.
pub const LOOK: Duration = Duration::from_millis(400);

/// Follows one database.
pub struct Follower {
    database: Arc<dyn Database>,
    cache: Arc<dyn Cache>,
    catalog: Arc<Catalog>,
    publisher: Arc<Publisher>,
    tokens: Arc<TokenService>,
    repositories: Arc<RepositoryService>,
    began: Instant,
    /// When memory was known to be up with the database, in milliseconds after `began`.
    up_at: AtomicU64,
    looked: Mutex<Looked>,
    declared: watch::Sender<Revision>,
}

struct Looked {
    /// The revision of the tokens in force; `None` if they were never read here.
    tokens: Option<Revision>,
    /// The revision of the repositories' records that was taken over last.
    repositories: Option<Revision>,
}

impl Follower {
    /// Follows from what is in memory now.
    pub fn new(
        database: Arc<dyn Database>,
        cache: Arc<dyn Cache>,
        catalog: Arc<Catalog>,
        publisher: Arc<Publisher>,
        tokens: Arc<TokenService>,
        repositories: Arc<RepositoryService>,
    ) -> Self {
        let looked = Looked {
            tokens: None,
            repositories: None,
        };
        Self {
            database,
            cache,
            catalog,
            publisher,
            tokens,
            repositories,
            began: Instant::now(),
            up_at: AtomicU64::new(0),
            looked: Mutex::new(looked),
            declared: watch::Sender::default(),
        }
    }

    /// Looks whenever there is word of a change, and at least every [`LOOK`], until told to stop. A database that does
    /// not answer is looked at again; how long it has not answered is in [`Follower::age`].
    pub async fn run(&self, stop: CancellationToken) {
        let mut words = self.cache.changes();
        let mut failing = false;
        loop {
            match (self.look().await, failing) {
                (Ok(()), true) => tracing::info!("the database answers again"),
                (Err(error), false) => {
                    tracing::warn!(%error, "memory cannot be kept up with the database");
                }
                _ => {}
            }
            failing = self.age() > LOOK;
            let word = async {
                match words.recv().await {
                    // Many words are one look.
                    Ok(_) | Err(RecvError::Lagged(_)) => words = self.cache.changes(),
                    Err(RecvError::Closed) => std::future::pending().await,
                }
            };
            let wait = tokio::time::timeout(LOOK, word);
            if stop.run_until_cancelled(wait).await.is_none() {
                return;
            }
        }
    }

    /// Takes over what was changed since the last look.
    ///
    /// # Errors
    /// [`DatabaseError`] if the database does not answer; memory is then as it was.
    pub async fn look(&self) -> Result<(), DatabaseError> {
        let began = self.now();
        let now = self.database.revisions().await?;
        self.note_declared(now.declared);
        let (tokens, repositories) = {
            let looked = self.looked();
            (looked.tokens, looked.repositories)
        };
        if repositories == Some(now.repositories) {
            if now.packages != self.catalog.seen() {
                self.publisher.catch_up().await?;
            }
        } else {
            // A sync stores packages first, then its record: once the packages are taken over after the records were
            // read, everything is here that these speak of.
            let records = self.database.repositories().await?;
            self.publisher.catch_up().await?;
            self.repositories.take_over(&records);
        }
        if tokens != Some(now.tokens) {
            self.tokens.reload().await?;
        }
        *self.looked() = Looked {
            tokens: Some(now.tokens),
            repositories: Some(now.repositories),
        };
        self.up_at.fetch_max(began, Ordering::AcqRel);
        Ok(())
    }

    /// The revision of the declared repositories that was seen last; 0 until the first look. They are not in memory
    /// here: whoever composes the program loads them when this moves
    /// ([`DeclaredService::load`](super::declared::DeclaredService::load)), and puts them in force. It does not move again
    /// for somebody who failed to: that is to be tried again without it.
    pub fn declared(&self) -> watch::Receiver<Revision> {
        self.declared.subscribe()
    }

    fn note_declared(&self, now: Revision) {
        self.declared.send_if_modified(|seen| {
            let moved = *seen != now;
            *seen = now;
            moved
        });
    }

    /// How old what is in memory may be. Cheap enough to be asked for each request.
    pub fn age(&self) -> Duration {
        Duration::from_millis(
            self.now()
                .saturating_sub(self.up_at.load(Ordering::Acquire)),
        )
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn looked(&self) -> std::sync::MutexGuard<'_, Looked> {
        self.looked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
