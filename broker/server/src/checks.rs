//! Whether the servers that a replica needs can be used. Looked at again and again, as what could be used may go.

use std::{sync::Arc, time::Duration};

use package_broker_core::ports::cache::Cache;
use package_broker_drivers::storage::s3::S3;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{drivers::shared, routes::App};

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a server may take to answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Whether a part can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Part {
    pub(crate) fn of<T>(result: anyhow::Result<T>) -> Self {
        let error = result.err().map(|error| format!("{error:#}"));
        Self { error }
    }
}

/// What the last look found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Servers {
    pub(crate) storage: Part,
    pub(crate) cache: Part,
}

/// The servers beside the database: that is followed, so that its end is noticed anyway.
pub(crate) struct Checks {
    storage: S3,
    redis: Option<Arc<dyn Cache>>,
}

impl Checks {
    /// Of the servers in use; `redis` is the cache, if that is one.
    pub(crate) fn new(storage: S3, redis: Option<Arc<dyn Cache>>) -> Self {
        Self { storage, redis }
    }

    /// Looks until told to stop, and keeps what was found for `/status`.
    pub(crate) async fn run(&self, app: &App, stop: &CancellationToken) {
        let looking = async {
            loop {
                app.servers.store(Some(Arc::new(self.look().await)));
                tokio::time::sleep(INTERVAL).await;
            }
        };
        let _: Option<()> = stop.run_until_cancelled(looking).await;
    }

    async fn look(&self) -> Servers {
        let storage = async { Ok(self.storage.check().await?) };
        let cache = async {
            match &self.redis {
                Some(redis) => shared::ask(redis.as_ref()).await,
                None => Ok(()),
            }
        };
        let (storage, cache) = tokio::join!(in_time(storage), in_time(cache));
        Servers { storage, cache }
    }
}

async fn in_time(asking: impl Future<Output = anyhow::Result<()>>) -> Part {
    let answered = tokio::time::timeout(LIMIT, asking).await;
    Part::of(answered.unwrap_or_else(|_| {
        let seconds = LIMIT.as_secs();
        Err(anyhow::anyhow!("no answer within {seconds} s"))
    }))
}
