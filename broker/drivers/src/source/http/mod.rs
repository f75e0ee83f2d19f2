//! The one way out over HTTP: guarded, polite and bounded.
//!
//! A [`Fetcher`] speaks for one repository. Every hop of every request passes the egress policy, connections are made
//! to the very addresses that were judged, credentials stay on the origin they were given for (design rule 6), and a
//! host is never asked more at once than [`SourceLimits::per_host`], nor while it wants to be left alone, whoever asks.

mod archive;
mod client;
mod credentials;
mod document;
mod failure;
mod hosts;
mod reply;
mod send;

use std::sync::{Arc, OnceLock};

use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};
use tokio::sync::OnceCell;
use url::{Origin, Url};

use self::{
    client::Tls,
    credentials::Login,
    hosts::{Hosts, Lane},
};
use super::{SourceLimits, egress::EgressPolicy};

pub(super) use self::hosts::Permit;
pub use self::{
    archive::copy_archive,
    document::{Document, Validator},
    reply::Reply,
};

/// What all repositories of an installation share on their way out.
pub struct Network {
    policy: Arc<EgressPolicy>,
    limits: SourceLimits,
    hosts: Hosts,
    /// For repositories without TLS settings of their own; made when first needed, as it reads the system's
    /// certificates.
    client: OnceLock<reqwest::Client>,
}

impl Network {
    /// A network under a policy.
    pub fn new(policy: Arc<EgressPolicy>, limits: SourceLimits) -> Self {
        Self {
            policy,
            limits,
            hosts: Hosts::new(limits.per_host),
            client: OnceLock::new(),
        }
    }

    /// Which addresses may be reached.
    pub fn policy(&self) -> &Arc<EgressPolicy> {
        &self.policy
    }

    /// The bounds of every request.
    pub fn limits(&self) -> &SourceLimits {
        &self.limits
    }

    /// Waits for leave to talk to a host in another way than over HTTP, as long as the permit lives.
    ///
    /// # Errors
    /// [`SourceError::Unavailable`], without waiting, while the host wants to be left alone for longer.
    pub(super) async fn enter(&self, host: &str, port: u16) -> Result<Permit, SourceError> {
        let entered = self.hosts.enter_at(host, port, Lane::Requests).await;
        entered.map_err(|held| held.explain(host.to_owned()))
    }

    fn client(&self) -> Result<reqwest::Client, SourceError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let client = client::build(self, &Tls::default())?;
        Ok(self.client.get_or_init(|| client).clone())
    }
}

/// Fetches for one repository, with its credentials.
pub struct Fetcher {
    network: Arc<Network>,
    origin: Origin,
    login: Login,
    clients: OnceCell<Clients>,
}

/// The client for the repository's own origin, which may show a client certificate, and the one for all others.
#[derive(Clone)]
struct Clients {
    home: reqwest::Client,
    away: reqwest::Client,
}

impl Fetcher {
    /// A fetcher for the repository at `url`. Credentials go to the origin (scheme, host, port) of `url` only.
    /// Of the Secret it reads `username`, `password`, `token`, `header`, `tls.crt`, `tls.key` and `ca.crt`.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] if the policy refuses `url`, [`SourceError::Misconfigured`] if the credentials
    /// cannot work.
    pub fn new(
        network: &Arc<Network>,
        url: &Url,
        credentials: &Credentials,
    ) -> Result<Self, SourceError> {
        network.policy.check_url(url)?;
        let login = Login::read(credentials)?;
        Ok(Self {
            network: Arc::clone(network),
            origin: url.origin(),
            login,
            clients: OnceCell::new(),
        })
    }

    /// The client for a URL, and whether that is at home.
    async fn client_for(&self, url: &Url) -> Result<(reqwest::Client, bool), SourceError> {
        let clients = self
            .clients
            .get_or_try_init(|| self.build_clients())
            .await?;
        let home = url.origin() == self.origin;
        let client = if home { &clients.home } else { &clients.away };
        Ok((client.clone(), home))
    }

    /// Reads the system's certificates, which is not for the async threads.
    async fn build_clients(&self) -> Result<Clients, SourceError> {
        let (network, tls) = (Arc::clone(&self.network), self.login.tls.clone());
        let built = tokio::task::spawn_blocking(move || Clients::build(&network, &tls)).await;
        built.unwrap_or_else(|_| {
            Err(SourceError::Unavailable {
                what: "the HTTP client".to_owned(),
                problem: "the program is ending".to_owned(),
                retry_after: None,
            })
        })
    }
}

impl Clients {
    fn build(network: &Network, tls: &Tls) -> Result<Self, SourceError> {
        let away = if tls.roots.is_empty() {
            network.client()?
        } else {
            client::build(
                network,
                &Tls {
                    roots: tls.roots.clone(),
                    identity: None,
                },
            )?
        };
        let home = if tls.identity.is_some() {
            client::build(network, tls)?
        } else {
            away.clone()
        };
        Ok(Self { home, away })
    }
}
