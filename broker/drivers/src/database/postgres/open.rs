//! Opening: where the server is, how it is spoken to, and the pool of connections.

use std::{fmt, str::FromStr, time::Duration};

use package_broker_core::ports::database::DatabaseError;
use secrecy::{ExposeSecret, SecretString};
use sqlx::{
    ConnectOptions, Connection as _, Executor,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use thiserror::Error;
use url::Url;

use super::{Postgres, fault::Fault};

/// Connections of one process, unless told otherwise.
const CONNECTIONS: u32 = 10;

/// How long a call waits for a connection, with the time it takes to make one: as long as a client may wait for an
/// answer that the database is needed for.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// After this time without use a connection is closed.
const IDLE_TIMEOUT: Duration = Duration::from_mins(5);

/// After this time a connection is replaced, so that a proxy or a failed-over name is noticed.
const LIFETIME: Duration = Duration::from_mins(30);

/// What every connection is set to: a statement that runs away, a lock that is never given back, and a transaction whose
/// process is gone all end by themselves.
const SESSION: &str = "SET statement_timeout = '25s'; SET lock_timeout = '10s'; \
                       SET idle_in_transaction_session_timeout = '30s'; SET synchronous_commit = 'on'";

/// Where a PostgreSQL database is and how it is spoken to. `Debug` shows no secret.
#[derive(Clone)]
pub struct Options {
    connect: PgConnectOptions,
    place: String,
    max_connections: u32,
}

/// Options that cannot work.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{problem}; {fix}")]
pub struct OptionsError {
    /// What is wrong. Names the option, never a secret.
    pub problem: String,
    /// What to write instead.
    pub fix: String,
}

impl Options {
    /// The options in a URL such as `postgres://user@host:5432/database?sslmode=verify-full&sslrootcert=/ca.pem`
    /// (the parameters of libpq). `password` goes before one in the URL.
    ///
    /// Without `sslmode`, TLS is used where the server offers it, as libpq does; the certificate is checked only with
    /// `verify-ca` and `verify-full`.
    ///
    /// # Errors
    /// [`OptionsError`] if it is no such URL.
    pub fn parse(url: &str, password: Option<&SecretString>) -> Result<Self, OptionsError> {
        let wrong = |problem: String| {
            OptionsError {
            problem,
            fix: "write postgres://USER@HOST:5432/DATABASE?sslmode=verify-full, and the password in a file of its own"
                .to_owned(),
        }
        };
        let parsed = Url::parse(url)
            .map_err(|error| wrong(format!("the database URL is not a URL: {error}")))?;
        if !matches!(parsed.scheme(), "postgres" | "postgresql") {
            return Err(wrong(format!(
                "the database URL begins with {}:, not with postgres:",
                parsed.scheme()
            )));
        }
        // The message of the parser may quote what it could not read, but nothing of the userinfo.
        let mut connect = PgConnectOptions::from_str(url)
            .map_err(|error| wrong(format!("the database URL cannot be used: {error}")))?;
        if let Some(password) = password {
            connect = connect.password(password.expose_secret());
        }
        let place = format!(
            "{}:{}/{}",
            connect.get_host(),
            connect.get_port(),
            connect.get_database().unwrap_or(connect.get_username())
        );
        let connect = connect
            .application_name("package-broker")
            .disable_statement_logging();
        Ok(Self {
            connect,
            place,
            max_connections: CONNECTIONS,
        })
    }

    /// Trusts the authorities with these certificates (PEM), in place of those that are trusted on the web and of those
    /// that the URL names.
    #[must_use]
    pub fn ca(mut self, pem: &str) -> Self {
        self.connect = self.connect.ssl_root_cert_from_pem(pem.as_bytes().to_vec());
        self
    }

    /// At most so many connections at once, of this process.
    #[must_use]
    pub fn max_connections(mut self, connections: u32) -> Self {
        self.max_connections = connections.max(2);
        self
    }

    /// Where the database is: host, port and database.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(crate) fn connect(&self) -> &PgConnectOptions {
        &self.connect
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("place", &self.place)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

impl Postgres {
    /// Opens a database whose schema is up to date or newer.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] if the server cannot be reached, refuses the user, or has not been migrated yet;
    /// it names the server and what to do.
    pub async fn open(options: &Options) -> Result<Self, DatabaseError> {
        let database = Self::connect(options);
        database.check_schema().await?;
        Ok(database)
    }

    /// Connects once, and says why that is not possible: a pool only says that it got no connection in time.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`], which names the server, the cause and what to do.
    pub async fn reach(options: &Options) -> Result<(), DatabaseError> {
        let connecting = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect.connect());
        let connected = match connecting.await {
            Ok(connected) => connected.map_err(Fault::from),
            Err(_) => Err(Fault::TooSlow(ACQUIRE_TIMEOUT)),
        };
        let connection = connected.map_err(|fault| fault.explain("connect", options.place()))?;
        // It was made to be looked at; how it ends does not matter.
        let _ = connection.close().await;
        Ok(())
    }

    /// Opens a database without looking at it: the first call that needs a connection makes it.
    pub fn connect(options: &Options) -> Self {
        let pool = PgPoolOptions::new()
            .max_connections(options.max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(IDLE_TIMEOUT)
            .max_lifetime(LIFETIME)
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute(SESSION).await.map(drop) })
            })
            .connect_lazy_with(options.connect.clone());
        Self {
            place: options.place.as_str().into(),
            pool,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_work_are_told() {
        for (url, told) in [
            ("host=db", "not a URL"),
            ("mysql://db/x", "begins with mysql:"),
            ("postgres://u:hidden@db:99999/x", "not a URL"),
            ("postgres://u:hidden@db/x?sslmode=perhaps", "perhaps"),
        ] {
            let error = Options::parse(url, None).unwrap_err().to_string();
            assert!(
                error.contains(told) && error.contains("postgres://USER@HOST"),
                "{error}"
            );
            assert!(!error.contains("hidden"), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_shows_a_password() {
        let url = "postgres://user:hidden@db:5433/packages";
        let options = Options::parse(url, Some(&"hidden".into())).unwrap();
        assert_eq!(options.place(), "db:5433/packages");
        let database = Postgres::connect(&options);
        assert!(!format!("{options:?} {database:?}").contains("hidden"));
    }
}
