//! Connections for commands, and the one that listens.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{
    ConnectOptions, Executor, PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::{sync::Semaphore, time::timeout};

use super::Fault;

/// Connections for commands of one process.
const CONNECTIONS: usize = 4;

/// How long one connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// What every connection is set to. Nobody waits longer than for a response; and what is lost with a crash of the
/// server need not be on its disk before.
const SESSION: &str = "SET statement_timeout = '1s'; SET lock_timeout = '1s'; \
                       SET idle_in_transaction_session_timeout = '5s'; SET synchronous_commit = 'off'";

/// Connections for commands, made when they are needed. Cheap to clone.
#[derive(Clone)]
pub(super) struct Commands(Arc<Connections>);

struct Connections {
    options: PgConnectOptions,
    turns: Semaphore,
    idle: Mutex<Vec<PgConnection>>,
}

impl Commands {
    pub(super) fn new(options: PgConnectOptions) -> Self {
        Self(Arc::new(Connections {
            options,
            turns: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
        }))
    }

    /// Runs `work` on a connection. One whose work failed or was given up is closed: what would come over it next is
    /// not known.
    pub(super) async fn run<T>(
        &self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Fault> {
        let _turn = self.0.turns.acquire().await.map_err(|_| Fault::Ended)?;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => connect(&self.0.options).await?,
        };
        let done = work(&mut connection).await?;
        self.idle().push(connection);
        Ok(done)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, Fault> {
    let connecting = async {
        let mut connection = options.connect().await?;
        connection.execute(SESSION).await?;
        Ok::<_, sqlx::Error>(connection)
    };
    match timeout(CONNECT, connecting).await {
        Ok(connected) => Ok(connected?),
        Err(_) => Err(Fault::Silence("connected")),
    }
}

/// A connection that listens to `channels`, and does not connect again by itself: what was missed has to be told.
pub(super) async fn listen_to(
    options: &PgConnectOptions,
    channels: [&str; 2],
) -> Result<PgListener, Fault> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .connect_lazy_with(options.clone());
    let listening = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.ignore_pool_close_event(true);
        listener.listen_all(channels).await?;
        Ok::<_, sqlx::Error>(listener)
    };
    match timeout(CONNECT, listening).await {
        Ok(listening) => Ok(listening?),
        Err(_) => Err(Fault::Silence("connected")),
    }
}
