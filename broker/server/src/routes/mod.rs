//! HTTP in, service call, HTTP out.
//!
//! The public port serves Composer's protocol ([`composer`]); the second port serves probes and metrics ([`health`],
//! [`metrics`]) and is not for clients.

mod api;
mod audit;
mod auth;
mod client;
mod composer;
mod conditional;
mod encoding;
mod error;
mod health;
mod limit;
pub(crate) mod metrics;
mod public;
mod request;
mod route;
mod status;
mod webhooks;

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::{ArcSwap, ArcSwapOption};
use axum::{Router, http::Uri, routing::get};
use ipnet::IpNet;
use package_broker_core::{
    broker::Broker, domain::names::RepositoryName, ports::database::DatabaseError,
    sync::schedule::Scheduler,
};
use tokio::sync::Semaphore;

use self::{error::Problem, metrics::Metrics};
pub(crate) use self::{
    health::Health,
    public::answer,
    status::{Declared, DeclaredToken, InForce, SyncRequest},
};
use crate::{checks::Servers, wire::Pages};

/// What every handler shares.
pub(crate) struct App {
    /// The services.
    pub(crate) broker: Broker,
    /// Counters and histograms of requests.
    pub(crate) metrics: Metrics,
    /// Whether requests are welcome.
    pub(crate) health: Health,
    /// Large documents of views, ready to be sent.
    pub(crate) pages: Arc<Pages>,
    /// Proxies that are believed when they say whose request it is.
    pub(crate) proxies: ArcSwap<Vec<IpNet>>,
    /// Whether clients are sent to the storage for archives.
    redirects: AtomicBool,
    /// How long memory is answered from while it cannot be kept up with the database; for ever where nobody else
    /// writes.
    stale_after: Option<Duration>,
    /// Whether the manifests as they are now are the ones in force.
    pub(crate) manifests_in_force: AtomicBool,
    /// What the manifests in force say of themselves.
    pub(crate) declared: ArcSwap<InForce>,
    /// How it stands with the servers beside the database, where there are any.
    pub(crate) servers: ArcSwapOption<Servers>,
    /// What syncs in this process; nothing where that is up to others.
    pub(crate) scheduler: OnceLock<Arc<Scheduler>>,
    kept_waiting: Semaphore,
    /// Held by whoever looks at the database because of a request.
    looking: tokio::sync::Mutex<()>,
}

/// The shortest time between two looks at the database because of requests: those who guess tokens must not wear it out.
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

impl App {
    /// What handlers share, before any manifest is in force. Where other processes write into the same database,
    /// `stale_after` says how long memory is answered from that cannot be kept up with it.
    pub(crate) fn new(broker: Broker, stale_after: Option<Duration>) -> Self {
        Self {
            broker,
            metrics: Metrics::new(),
            health: Health::default(),
            pages: Arc::default(),
            proxies: ArcSwap::default(),
            redirects: AtomicBool::new(false),
            stale_after,
            manifests_in_force: AtomicBool::new(false),
            declared: ArcSwap::default(),
            servers: ArcSwapOption::empty(),
            scheduler: OnceLock::new(),
            kept_waiting: Semaphore::new(auth::MAX_KEPT_WAITING),
            looking: tokio::sync::Mutex::default(),
        }
    }

    /// Why nothing can be answered from memory, if so: there is nothing in it yet, or it may be too old.
    fn cannot_serve(&self) -> Option<&'static str> {
        if !self.health.is_installed() {
            return Some("the manifests are not in force yet");
        }
        let bound = self.stale_after?;
        (self.broker.follower.age() > bound).then_some("the database does not answer")
    }

    /// Takes over what other processes have changed until `moment`, one look for all who wait. `false` where nobody else
    /// changes anything, and where the database does not answer.
    async fn looked_since(&self, moment: Instant) -> bool {
        if self.stale_after.is_none() {
            return false;
        }
        let follower = &self.broker.follower;
        let _turn = self.looking.lock().await;
        if follower.age() < moment.elapsed() {
            return true;
        }
        tokio::time::sleep(BETWEEN_LOOKS.saturating_sub(follower.age())).await;
        follower.look().await.is_ok()
    }

    /// Has a repository synced: here, or by whoever looks at requests in the database.
    async fn request_sync(&self, name: &RepositoryName) -> Result<(), DatabaseError> {
        if let Some(scheduler) = self.scheduler.get() {
            scheduler.sync_now(name);
            return Ok(());
        }
        self.broker.database.request_sync(name).await
    }

    /// From now on clients are, or are not, sent to the storage for archives.
    pub(crate) fn set_redirects(&self, redirects: bool) {
        self.redirects.store(redirects, Ordering::Release);
    }

    fn redirects(&self) -> bool {
        self.redirects.load(Ordering::Acquire)
    }

    fn in_force(&self) -> bool {
        self.manifests_in_force.load(Ordering::Acquire)
    }
}

/// What answers on the second port.
pub(crate) fn operations(app: &Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::scrape))
        .route("/status", get(status::show))
        .fallback(async |uri: Uri| Problem::no_such_route(uri.path()))
        .with_state(Arc::clone(app))
}
