//! Requests of syncs that come over the database.

use std::time::Duration;

use package_broker_drivers::database::postgres::{Options, Requests};
use tokio::task::JoinHandle;

/// How long after a connection has ended another one is made. What was asked for meanwhile is found by then: brokers are
/// looked at more often.
const PAUSE: Duration = Duration::from_secs(15);

/// A task that ends with this value.
pub(super) struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Calls `asked` for each request that comes.
pub(super) fn listen(options: Options, asked: impl Fn() + Send + 'static) -> AbortOnDrop {
    AbortOnDrop(tokio::spawn(async move {
        loop {
            if let Ok(mut requests) = Requests::listen(&options).await {
                // There may have been some before.
                asked();
                while requests.next().await.is_ok() {
                    asked();
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }))
}
