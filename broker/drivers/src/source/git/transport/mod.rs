//! Ways to reach a git remote. All of them keep the egress guard and the bounds of a [`Session`].

mod child;
mod http;
mod keys;
mod ssh;

use std::{net::IpAddr, sync::Arc};

use gix_transport::client::blocking_io::Transport;
use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};

use self::child::ChildProcess;
pub(in crate::source) use self::keys::KeyFolder;
pub(super) use self::ssh::is_unreachable;
use super::{address::Address, session::Session};
use crate::source::http::{Fetcher, Network, Permit};

/// What it takes to reach the remote of one repository.
pub(super) struct Access {
    /// Where it is.
    pub(super) address: Address,
    /// Which addresses may be reached, and how many conversations one host gets at once.
    pub(super) network: Arc<Network>,
    /// For `https:` and `http:`; has the credentials inside.
    pub(super) fetcher: Option<Arc<Fetcher>>,
    /// For ssh: `ssh-privatekey` and `known_hosts`.
    pub(super) credentials: Credentials,
    /// Where ssh finds them.
    pub(super) keys: Arc<KeyFolder>,
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
    last: Option<http::Last>,
}

impl Access {
    /// Waits for leave to talk to the host, where that is not up to the [`Fetcher`], which asks for each request.
    /// Whoever holds it may wait for others of the same repository: they have theirs already.
    ///
    /// # Errors
    /// Those of [`Network::enter`], and [`SourceError::Unavailable`] if the session was stopped.
    pub(super) fn enter(&self, session: &Session) -> Result<Option<Permit>, SourceError> {
        let Address::Ssh(ssh) = &self.address else {
            return Ok(None);
        };
        let entered = session.wait(self.network.enter(&ssh.host, ssh.port));
        entered.unwrap_or_else(|| Err(self.stopped())).map(Some)
    }

    fn stopped(&self) -> SourceError {
        SourceError::Unavailable {
            what: self.address.to_string(),
            problem: "the sync was stopped".to_owned(),
            retry_after: None,
        }
    }

    /// The ways to try, in order. Blocks on name look-up.
    ///
    /// # Errors
    /// [`SourceError::Forbidden`] by the policy, [`SourceError::Misconfigured`] where credentials are missing,
    /// [`SourceError::Unavailable`] for names that do not resolve.
    pub(super) fn routes(&self, session: &Session) -> Result<Vec<Route>, SourceError> {
        match (&self.address, &self.fetcher) {
            (Address::Ssh(ssh), _) => {
                let found = session
                    .wait(self.network.policy().resolve(&ssh.host, ssh.port))
                    .unwrap_or_else(|| Err(self.stopped()))?;
                let identity = ssh::Identity::write(&self.credentials, ssh, &self.keys)?;
                let identity = Arc::new(identity);
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
                let (transport, last) = http::transport(&url, fetcher, session)?;
                Ok(Channel {
                    transport,
                    child: None,
                    last: Some(last),
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
    /// Lets go of the host between two requests, where a conversation is made of them.
    pub(super) fn pause(&self) {
        if let Some(last) = &self.last {
            last.end();
        }
    }

    /// Ends the conversation and gives what the program at the other end had to say, if it failed.
    pub(super) fn verdict(self, what: &str) -> Option<SourceError> {
        let Self {
            transport, child, ..
        } = self;
        drop(transport);
        child.and_then(|child| child.verdict(what))
    }
}

impl From<(Box<dyn Transport>, ChildProcess)> for Channel {
    fn from((transport, child): (Box<dyn Transport>, ChildProcess)) -> Self {
        Self {
            transport,
            child: Some(child),
            last: None,
        }
    }
}
