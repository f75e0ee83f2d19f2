//! Counters and word of changes in Redis (6 or newer) or Valkey: one server, a master that Sentinel elects, or a
//! cluster.
//!
//! What is on the server, under the prefix of the installation (`package-broker:` unless set):
//!
//! ```text
//! PREFIX count:KEY          key: events in the window of KEY; expires with the window
//! PREFIX probe              key: written with nothing, so that it never exists; shows that writes are taken
//! PREFIX changes:DB         channel: word of changes to all replicas, see `message`
//! PREFIX echo:{PREFIX changes:DB}:REPLICA
//!                           channel: a replica proves to itself that both its connections work
//! ```
//!
//! A user of an ACL needs `~PREFIX* &PREFIX* +set +incr +setrange +multi +exec +publish +subscribe +select`, behind
//! Sentinels also `+role`, in a cluster also `+ping +asking +cluster|slots`.
//!
//! One background task keeps the connections: it connects, proves that keys can be written and that words come
//! round, and starts over when something breaks. While it has no working connections every call fails at once, so a
//! server that is down costs no request more than one [`RESPONSE`].

mod address;
mod connect;
mod echo;
mod fault;
mod keeper;
mod link;
mod message;
mod options;

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use package_broker_core::ports::cache::{Cache, CacheError, Change};
use sha2::{Digest, Sha256};
use tokio::{sync::broadcast, time::timeout};
use tokio_util::task::AbortOnDropHandle;

pub use self::{
    address::UrlError,
    options::{DEFAULT_PREFIX, Options, OptionsError},
};
use self::{connect::Target, link::Shared};

/// How long a call may wait for the server, its queue included.
pub const RESPONSE: Duration = Duration::from_secs(1);

/// How often the connections are proved to work while nothing else shows it. A silent break is noticed after this and
/// one [`RESPONSE`].
pub const HEARTBEAT: Duration = Duration::from_secs(5);

/// How long [`Redis::open`] waits for a first connection before it leaves that to the background.
const OPENING: Duration = Duration::from_secs(2);

/// A longer key is kept as its hash.
const MAX_KEY: usize = 128;

/// The longest window, as the port has it; no key stays longer.
const MAX_WINDOW: Duration = Duration::from_hours(1);

/// The cache of replicas that share a Redis or a Valkey.
///
/// - [`count`](Cache::count) is exact across replicas: one transaction, one round trip.
/// - [`announce`](Cache::announce) returns when this replica has heard its own word; the others hear it about then.
///   A word that could not be sent is owed: when the server is back, `Everything` is announced to all replicas.
/// - Whenever the connections were made anew, the receivers of [`changes`](Cache::changes) hear
///   [`Change::Everything`], as words may have been lost. So they do for a word that cannot be understood.
///
/// The connections close when the value is dropped.
pub struct Redis {
    shared: Arc<Shared>,
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
        let shared = Arc::new(Shared::new(target, &options.prefix)?);
        let mut settled = shared.settled();
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper::keep(Arc::clone(&shared))));
        let _whether_it_came = timeout(OPENING, settled.wait_for(|settled| *settled)).await;
        Ok(Self {
            shared,
            prefix: options.prefix,
            _keeper: keeper,
        })
    }

    /// Where `key` is counted. Braces would let a key choose its slot of a cluster, and a long key costs memory, so
    /// such keys are hashed.
    fn counter(&self, key: &str) -> String {
        let plain = key.len() <= MAX_KEY && !key.contains(['{', '}']) && !key.starts_with('#');
        if plain {
            return format!("{}count:{key}", self.prefix);
        }
        format!("{}count:#{}", self.prefix, hex::encode(Sha256::digest(key)))
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("server", &self.shared.server())
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Cache for Redis {
    async fn count(&self, key: &str, window: Duration) -> Result<u64, CacheError> {
        let window = window.clamp(Duration::from_millis(1), MAX_WINDOW);
        self.shared.count(self.counter(key), window).await
    }

    async fn announce(&self, change: Change) -> Result<(), CacheError> {
        self.shared.announce(&change).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.changes()
    }
}
