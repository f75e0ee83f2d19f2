//! Ways to reach a git remote. All of them keep the egress guard and the bounds of a [`Session`].

mod child;
mod http;
mod ssh;

use std::{net::IpAddr, sync::Arc};

use gix_transport::client::blocking_io::Transport;
use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};

use self::child::ChildProcess;
pub(super) use self::ssh::is_unreachable;
use super::{address::Address, session::Session};
use crate::source::{egress::EgressPolicy, http::Fetcher};

/// What it takes to reach the remote of one repository.
pub(super) struct Access {
    /// Where it is.
    pub(super) address: Address,
    /// Which addresses may be reached.
    pub(super) policy: Arc<EgressPolicy>,
    /// For `https:` and `http:`; has the credentials inside.
    pub(super) fetcher: Option<Arc<Fetcher>>,
    /// For ssh: `ssh-privatekey` and `known_hosts`.
    pub(super) credentials: Credentials,
}

/// One way to a remote. A host with several addresses has several.
pub(super) enum Route {
    /// Requests over HTTP.
    Http(Arc<Fetcher>),
    /// A local `git`.
    Local,
    /// A local `ssh`, to one judged address.
    Ssh(IpAddr, Arc<ssh::Identity>),
}

/// An open way to a remote.
pub(super) struct Channel {
    /// What the git library speaks through.
    pub(super) transport: Box<dyn Transport>,
    child: Option<ChildProcess>,
}

impl Access {
    /// The ways to try, in order. Blocks on name look-up.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] by the policy, [`SourceError::Misconfigured`] where credentials are missing,
    /// [`SourceError::Unavailable`] for names that do not resolve.
    pub(super) fn routes(&self, session: &Session) -> Result<Vec<Route>, SourceError> {
        match (&self.address, &self.fetcher) {
            (Address::Ssh(ssh), _) => {
                let found = session
                    .runtime()
                    .block_on(self.policy.resolve(&ssh.host, ssh.port))?;
                let identity = Arc::new(ssh::Identity::write(&self.credentials, ssh)?);
                Ok(found
                    .into_iter()
                    .map(|socket| Route::Ssh(socket.ip(), Arc::clone(&identity)))
                    .collect())
            }
            (Address::Http(_), Some(fetcher)) => Ok(vec![Route::Http(Arc::clone(fetcher))]),
            (Address::Http(_) | Address::Local(_), _) => Ok(vec![Route::Local]),
        }
    }

    /// Opens a way; nothing is said yet.
    ///
    /// # Errors
    /// [`SourceError::Misconfigured`] if a program is missing.
    pub(super) fn open(
        &self,
        route: &Route,
        session: &Arc<Session>,
    ) -> Result<Channel, SourceError> {
        let url = self.address.to_string();
        match (route, &self.address) {
            (Route::Http(fetcher), _) => {
                let transport = http::transport(&url, fetcher, session)?;
                Ok(Channel {
                    transport,
                    child: None,
                })
            }
            (Route::Ssh(ip, identity), Address::Ssh(address)) => {
                ChildProcess::start(ssh::command(address, *ip, identity), &url, session)
                    .map(Channel::from)
            }
            (Route::Local | Route::Ssh(..), _) => {
                ChildProcess::start(child::upload_pack(&self.address), &url, session)
                    .map(Channel::from)
            }
        }
    }
}

impl Channel {
    /// Ends the conversation and gives what the program at the other end had to say, if it failed.
    pub(super) fn verdict(self, what: &str) -> Option<SourceError> {
        let Self { transport, child } = self;
        drop(transport);
        child.and_then(|child| child.verdict(what))
    }
}

impl From<(Box<dyn Transport>, ChildProcess)> for Channel {
    fn from((transport, child): (Box<dyn Transport>, ChildProcess)) -> Self {
        Self {
            transport,
            child: Some(child),
        }
    }
}
