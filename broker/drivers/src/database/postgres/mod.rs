//! The shared database: PostgreSQL 14 or newer, used by any number of processes at once.
//!
//! Whoever changes what is published, or takes a stamp, locks the clock's row before anything else: changes are
//! therefore made one after another, stamps grow in the order of the commits, and no two writers can block each other
//! for good. Readers wait for nobody.
//!
//! The schema only grows: a newer release's migrations leave everything in place that the release before uses, so both
//! may serve at the same time while an installation is upgraded.

mod apply;
mod archive;
mod audit;
mod claim;
mod clock;
mod declared;
mod fault;
mod index;
mod migrate;
mod open;
mod package;
mod publish;
mod repository;
mod request;
mod root;
mod rows;
mod token;

use std::{future::Future, sync::Arc, time::Duration};

use package_broker_core::{
    ports::database::{Connections, DatabaseError, Pooled},
    telemetry::calling,
};
use sqlx::{PgConnection, PgPool};

use self::fault::Fault;
pub(crate) use self::fault::advice;
pub use self::{
    open::{Options, OptionsError},
    request::Requests,
};
use super::connections;

/// How long a call may take, with everything in it: a server that is paused, or a host that is gone, sends nothing that
/// would end it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A PostgreSQL database. Cheap to clone; all clones share its connections.
#[derive(Clone, Debug)]
pub struct Postgres {
    /// Where it is, for messages: host, port and database.
    place: Arc<str>,
    pool: PgPool,
}

impl Postgres {
    /// Closes every connection, once those in use are given back.
    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// Runs one piece of work within [`PATIENCE`], and says what was being done where it fails.
    async fn run<T>(
        &self,
        action: &'static str,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, DatabaseError> {
        // On the heap: it is large, and would be a part of each of the futures around it.
        let work = Box::pin(work);
        let work = async {
            tokio::time::timeout(PATIENCE, work)
                .await
                .unwrap_or(Err(Fault::TooSlow(PATIENCE)))
        };
        calling("PostgreSQL", action, work)
            .await
            .map_err(|fault| fault.explain(action, &self.place))
    }
}

impl Pooled for Postgres {
    fn connections(&self) -> Connections {
        connections(&self.pool)
    }
}

/// A connection, wherever it comes from.
type Connection = PgConnection;
