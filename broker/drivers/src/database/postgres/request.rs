//! Requests of syncs, and word of them to whoever listens.

use std::time::Duration;

use async_trait::async_trait;
use package_broker_core::{
    domain::names::RepositoryName,
    ports::database::{DatabaseError, SyncRequest, SyncRequestStore},
};
use sqlx::{
    FromRow,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::time::timeout;

use super::{Options, Postgres, fault::Fault};

/// The channel that word of requests comes over.
const CHANNEL: &str = "package_broker_sync_requests";
/// How long a connection that listens may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

#[derive(FromRow)]
struct Row {
    repository: String,
    request: i64,
}

#[async_trait]
impl SyncRequestStore for Postgres {
    async fn request_sync(&self, repository: &RepositoryName) -> Result<(), DatabaseError> {
        let record = async {
            let mut transaction = self.pool.begin().await?;
            // A new row for the same repository: its number is a new one.
            for statement in [
                "DELETE FROM sync_requests WHERE repository = $1",
                "INSERT INTO sync_requests (repository) VALUES ($1)",
                // Told when the transaction is over, and not before.
                "SELECT pg_notify('package_broker_sync_requests', $1)",
            ] {
                sqlx::query(statement)
                    .bind(repository.as_str())
                    .execute(&mut *transaction)
                    .await?;
            }
            Ok(transaction.commit().await?)
        };
        self.run("ask for a sync", record).await
    }

    async fn sync_requests(&self) -> Result<Vec<SyncRequest>, DatabaseError> {
        let rows = sqlx::query_as("SELECT repository, request FROM sync_requests ORDER BY request");
        let rows = async { Ok(rows.fetch_all(&self.pool).await?) };
        let rows: Vec<Row> = self.run("look for requests of syncs", rows).await?;
        let requests = rows.into_iter().map(|row| SyncRequest {
            repository: RepositoryName::new(&row.repository),
            number: row.request,
        });
        Ok(requests.collect())
    }

    async fn forget_sync_request(&self, request: &SyncRequest) -> Result<(), DatabaseError> {
        let delete =
            sqlx::query("DELETE FROM sync_requests WHERE repository = $1 AND request = $2")
                .bind(request.repository.as_str())
                .bind(request.number);
        let delete = async { Ok(delete.execute(&self.pool).await.map(drop)?) };
        self.run("forget a request of a sync", delete).await
    }
}

/// Word of requests of syncs.
#[derive(Debug)]
pub struct Requests(PgListener);

impl Requests {
    /// Listens, on a connection of its own.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server does not answer.
    pub async fn listen(options: &Options) -> Result<Self, DatabaseError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            .connect_lazy_with(options.connect().clone());
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.ignore_pool_close_event(true);
            listener.listen(CHANNEL).await?;
            Ok(Self(listener))
        };
        let listening = timeout(CONNECT, listening).await;
        let listening = listening.unwrap_or(Err(Fault::TooSlow(CONNECT)));
        listening.map_err(|fault| fault.explain("listen for requests of syncs", options.place()))
    }

    /// Waits for the next one. Of several at once, one may stand for all.
    ///
    /// # Errors
    /// [`DatabaseError`] if the connection has ended: what was asked for since is not told again.
    pub async fn next(&mut self) -> Result<(), DatabaseError> {
        // `None` is a connection that broke.
        match self.0.try_recv().await {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(DatabaseError::Unavailable {
                action: "listen for requests of syncs",
                problem: "the connection has ended".to_owned(),
            }),
        }
    }
}
