//! HTTP clients that connect only where the policy lets them.

use std::sync::Arc;

use package_broker_core::ports::source::SourceError;
use reqwest::{
    Certificate, Identity,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};

use super::Network;
use crate::source::egress::EgressPolicy;

/// What we call ourselves. Servers see who asks, and which version.
const USER_AGENT: &str = concat!("package-broker/", env!("CARGO_PKG_VERSION"));

/// TLS settings of one repository.
#[derive(Clone, Default)]
pub(super) struct Tls {
    /// Trusted besides the system's certificates.
    pub(super) roots: Vec<Certificate>,
    /// Shown to servers that ask.
    pub(super) identity: Option<Identity>,
}

/// Builds a client that follows no redirect, decodes nothing, uses no proxy and resolves through the policy.
///
/// # Errors
/// [`SourceError::Misconfigured`] if the TLS settings cannot be used.
pub(super) fn build(network: &Network, tls: &Tls) -> Result<reqwest::Client, SourceError> {
    // An error means that a provider is installed already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .no_gzip()
        .connect_timeout(network.limits.connect_timeout)
        .read_timeout(network.limits.idle_timeout)
        .pool_max_idle_per_host(network.limits.per_host)
        .dns_resolver(Arc::new(Guarded(Arc::clone(&network.policy))))
        .tls_certs_merge(tls.roots.iter().cloned());
    if let Some(identity) = &tls.identity {
        builder = builder.identity(identity.clone());
    }
    builder.build().map_err(|error| SourceError::Misconfigured {
        problem: format!("no TLS client could be made: {}", super::failure::root_cause(&error)),
        fix: "check tls.crt, tls.key and ca.crt of the Secret, and that the system has CA certificates".to_owned(),
    })
}

/// A resolver whose answers have passed the policy: what was judged is what is connected to.
struct Guarded(Arc<EgressPolicy>);

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            // Port 0 is replaced by the one of the URL.
            let addresses = policy.resolve(name.as_str(), 0).await?;
            let addresses: Addrs = Box::new(addresses.into_iter());
            Ok(addresses)
        })
    }
}
