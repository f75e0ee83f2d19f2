//! Counters, buckets and word of changes in Redis (6 or newer) or Valkey: one server, a master that Sentinel elects, or a
//! cluster.
//!
//! What is on the server, under the prefix of the installation (`package-broker:` unless set):
//!
//! ```text
//! PREFIX count:KEY          key: events in the window of KEY; expires with the window
//! PREFIX quota:KEY          key: when the bucket of KEY is full again, in microseconds since the Unix epoch on the
//!                           server's clock; expires then
//! PREFIX probe              key: written with nothing, so that it never exists; shows that writes are taken
//! PREFIX changes:DB         channel: word of changes to all replicas, see `message`
//! PREFIX echo:{PREFIX changes:DB}:REPLICA
//!                           channel: a replica proves to itself that both its connections work
//! ```
//!
//! A user of an ACL needs `~PREFIX* &PREFIX* +get +set +incr +setrange +multi +exec +eval +time +publish +subscribe
//! +select`, behind Sentinels also `+role`, in a cluster also `+ping +asking +cluster|slots`.
//!
//! How the connections are kept, and what a server that is down costs, is the same for every server: see `remote`.

mod address;
mod connect;
mod fault;
mod options;
mod server;

use std::{fmt, sync::Arc, time::Duration};

use ::redis::RedisError;
use async_trait::async_trait;
use package_broker_core::{
    domain::quota::{Quota, Taken},
    ports::cache::{Cache, CacheError, Change},
};
use tokio::sync::broadcast;
use tokio_util::task::AbortOnDropHandle;

use super::{
    MAX_WINDOW, key,
    remote::{self, Server as _},
};

pub use self::{
    address::UrlError,
    options::{DEFAULT_PREFIX, Options, OptionsError},
};
use self::{connect::Target, server::Server};

/// How long a call may wait for the server, its queue included.
pub const RESPONSE: Duration = remote::RESPONSE;

/// How often the connections are proved to work while nothing else shows it. A silent break is noticed after this and
/// one [`RESPONSE`].
pub const HEARTBEAT: Duration = remote::HEARTBEAT;

type Fault = remote::Fault<RedisError>;

/// The cache of replicas that share a Redis or a Valkey.
///
/// - [`count`](Cache::count) and [`take`](Cache::take) are exact across replicas: one transaction or script, one round
///   trip.
/// - [`announce`](Cache::announce) returns when this replica has heard its own word; the others hear it about then.
///   A word that could not be sent is owed: when the server is back, `Everything` is announced to all replicas.
/// - Whenever the connections were made anew, the receivers of [`changes`](Cache::changes) hear
///   [`Change::Everything`], as words may have been lost. So they do for a word that cannot be understood.
///
/// The connections close when the value is dropped.
pub struct Redis {
    server: Arc<Server>,
    prefix: String,
    _keeper: AbortOnDropHandle<()>,
}

impl Redis {
    /// Starts to connect, and waits a moment for it. A server that does not answer is no error: the calls fail until
    /// it does. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`OptionsError`] if the options cannot be right whatever the server says.
    pub async fn open(options: Options) -> Result<Self, OptionsError> {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        options.check()?;
        let target = Target::new(&options)?;
        let server = Arc::new(Server::new(target, &options.prefix)?);
        Ok(Self {
            _keeper: remote::open(&server).await,
            server,
            prefix: options.prefix,
        })
    }

    /// Where what `kind` says of `key` is kept.
    fn key(&self, kind: &str, key: &str) -> String {
        format!("{}{kind}:{}", self.prefix, key::short(key))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.server.line().place())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Cache for Redis {
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        let window = window.clamp(Duration::from_millis(1), MAX_WINDOW);
        self.server.count(self.key("count", key), window).await
    }

    async fn take(&self, key: &str, quota: Quota) -> Result<Taken, CacheError> {
        self.server.take(self.key("quota", key), quota).await
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
