//! Counters, buckets and word of changes in PostgreSQL (14 or newer), for an installation that has no Redis: the database that
//! is there anyway, over connections of its own.
//!
//! What is in the database:
//!
//! ```text
//! counters                       unlogged table: events in the window of each key
//! quotas                         unlogged table: when the bucket of each key is full again
//! package_broker_changes         channel: word of changes to all replicas, see `remote::message`
//! package_broker_echo_REPLICA    channel: a replica proves to itself that its connections work
//! ```
//!
//! Words go by `NOTIFY`, so a replica listens on one connection all the time: the server has to be reached directly, or
//! through a pooler that gives each client a connection for its whole session. Installations need a database each.
//!
//! Rows that have ended are removed at each heartbeat, some at a time, and of more than [`MAX_ROWS`] the ones that end
//! first. How the connections are kept, and what a server that is down costs, is the same for every server: see
//! `remote`.

mod connect;
mod fault;
mod server;
mod sweep;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use package_broker_core::{
    domain::quota::{Quota, Taken},
    ports::cache::{Cache, CacheError, Change},
};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use self::server::Server;
use super::{
    MAX_WINDOW, key,
    remote::{self, Server as _},
};
pub use crate::database::postgres::{Options, OptionsError};

/// How long a call may wait for the server, its queue included.
pub const RESPONSE: Duration = remote::RESPONSE;

/// How often the connections are proved to work while nothing else shows it, and rows that have ended are removed.
pub const HEARTBEAT: Duration = remote::HEARTBEAT;

/// The most rows that a table is left with at a heartbeat, if the server keeps up.
pub const MAX_ROWS: i64 = 100_000;

type Fault = remote::Fault<sqlx::Error>;

/// The cache of replicas that share a PostgreSQL database and nothing else.
///
/// - [`count`](Cache::count) and [`take`](Cache::take) are exact across replicas: one statement, on the server's clock.
/// - [`announce`](Cache::announce) returns when this replica has heard its own word; the others hear it about then.
///   A word that could not be sent is owed: when the server is back, `Everything` is announced to all replicas. A long
///   list of packages is heard as several changes, a very long one as `Everything`.
/// - Whenever the connections were made anew, the receivers of [`changes`](Cache::changes) hear
///   [`Change::Everything`], as words may have been lost. So they do for a word that cannot be understood.
///
/// The connections close when the value is dropped.
pub struct Postgres {
    server: Arc<Server>,
    _keeper: AbortOnDropHandle<()>,
}

impl Postgres {
    /// Starts to connect, and waits a moment for it. A server that does not answer, or whose schema is not up to date,
    /// is no error: the calls fail until it is. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`CacheError`] if the system has no random bytes.
    pub async fn open(options: &Options) -> Result<Self, CacheError> {
        let server = Arc::new(Server::new(options)?);
        Ok(Self {
            _keeper: remote::open(&server).await,
            server,
        })
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres")
            .field("server", &self.server.line().place())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Cache for Postgres {
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        let window = window.clamp(Duration::from_millis(1), MAX_WINDOW);
        self.server.count(&key::short(key), window).await
    }

    async fn take(&self, key: &str, quota: Quota) -> Result<Taken, CacheError> {
        self.server.take(&key::short(key), quota).await
    }

    async fn announce(&self, change: Change) -> Result<(), CacheError> {
        self.server.announce(&change).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.server.line().changes()
    }

    fn is_up(&self) -> bool {
        self.server.line().is_up()
    }
}
