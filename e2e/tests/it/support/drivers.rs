//! What brokers of the tests run on: the embedded drivers, or servers.

use std::ops::{Deref, DerefMut};
use std::path::Path;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::place::Place;
use serde_json::json;

use crate::replicas::installation::Installation;

/// Whether this program tests replicas on servers where else it tests one process on the embedded drivers: the suites of
/// the protocol hold for both ([`replicas::suites`](crate::replicas)).
pub(crate) const ON_SERVERS: &str = "E2E_ON_SERVERS";

/// Servers for one test, where it is tested on servers.
pub(crate) fn servers() -> Option<Installation> {
    std::env::var_os(ON_SERVERS).map(|_| Installation::new())
}

/// Declares manifests on servers and syncs what is declared, as the operator does.
pub(crate) fn declare(servers: &Installation, manifests: &Manifests, url: &str) {
    servers.apply(manifests, url);
    for repository in manifests.names("Repository") {
        // One that fails is served as far as it is known, as under `run`.
        servers.run(&["sync", repository]);
    }
}

/// A broker whose public URL is its own, for real clients.
pub(crate) struct Running {
    // Dropped before its servers.
    broker: Broker,
    _servers: Option<Installation>,
}

impl Running {
    /// Starts it, with what is its own in the folder.
    pub(crate) fn start(manifests: &Manifests, folder: &Path) -> Self {
        let servers = servers();
        let broker = if let Some(servers) = &servers {
            let address = format!("127.0.0.1:{}", Place::loopback().free_port().unwrap());
            declare(servers, manifests, &format!("http://{address}"));
            servers.serve_with(Installation::COMMAND, &json!({"listen": address}))
        } else {
            let file = folder.join("manifests.yaml");
            manifests.write_file(&file).unwrap();
            Broker::start(&file, &folder.join("data")).unwrap()
        };
        Self {
            broker,
            _servers: servers,
        }
    }
}

impl Deref for Running {
    type Target = Broker;

    fn deref(&self) -> &Broker {
        &self.broker
    }
}

impl DerefMut for Running {
    fn deref_mut(&mut self) -> &mut Broker {
        &mut self.broker
    }
}
