//! The schema: bringing it up to date, and telling whether it is.

use std::{cmp::Ordering, time::Duration};

use package_broker_core::ports::database::DatabaseError;
use sqlx::{
    ConnectOptions, Connection as _, Executor,
    migrate::{MigrateError, Migrator},
};

use super::{
    Options, Postgres,
    fault::{Fault, UNDEFINED_TABLE},
};

/// Migrations this release knows nothing of come from a newer one, which keeps what this one needs.
static MIGRATIONS: Migrator = Migrator {
    ignore_missing: true,
    ..sqlx::migrate!("migrations/postgres")
};

/// How long a connection for a migration is waited for.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

const MIGRATE: &str = "bring its schema up to date";
const CHECK: &str = "look at its schema";

impl Postgres {
    /// Brings the schema up to date, each step in one transaction, and returns its version then. Several processes may
    /// try at once: an advisory lock lets one do the work, and the others find it done. Brokers of this and the
    /// previous release may serve meanwhile. Interrupted at any moment, it goes on where it was.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server cannot be reached, the user may not create tables, or a step fails.
    pub async fn migrate(options: &Options) -> Result<i64, DatabaseError> {
        let explain = |fault: Fault| fault.explain(MIGRATE, options.place());
        // A connection of its own: a step may take longer than any request, and so may the wait for the lock.
        let connecting = tokio::time::timeout(CONNECT_TIMEOUT, options.connect().connect());
        let mut connection = connecting
            .await
            .map_err(|_| explain(Fault::TooSlow(CONNECT_TIMEOUT)))?
            .map_err(|error| explain(error.into()))?;
        connection
            .execute("SET lock_timeout = '10s'")
            .await
            .map_err(|error| explain(error.into()))?;
        MIGRATIONS
            .run(&mut connection)
            .await
            .map_err(|error| match error {
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                    explain(error.into())
                }
                MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => {
                    changed_schema(options.place(), version)
                }
                other => DatabaseError::Unavailable {
                    action: MIGRATE,
                    problem: format!("{}: {other}", options.place()),
                },
            })?;
        // The work is done and stands; how the connection ends does not matter.
        let _ = connection.close().await;
        Ok(latest())
    }

    /// The version of the schema; 0 where there is none yet.
    ///
    /// # Errors
    /// [`DatabaseError`] if the server does not answer.
    pub async fn schema(&self) -> Result<i64, DatabaseError> {
        let newest = async {
            let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
            match sqlx::query_scalar(newest).fetch_one(&self.pool).await {
                Err(sqlx::Error::Database(error))
                    if error.code().as_deref() == Some(UNDEFINED_TABLE) =>
                {
                    Ok(0)
                }
                found => Ok(found?),
            }
        };
        self.run(CHECK, newest).await
    }

    /// The version of this release's schema.
    pub fn newest_schema() -> i64 {
        latest()
    }

    /// Whether the schema is at least this release's.
    pub(super) async fn check_schema(&self) -> Result<(), DatabaseError> {
        let found = self.schema().await?;
        match found.cmp(&latest()) {
            Ordering::Less => Err(DatabaseError::Unavailable {
                action: CHECK,
                problem: format!(
                    "{}: schema {found} is older than {}; run `package-broker migrate`, which is safe while brokers \
                     are serving",
                    self.place,
                    latest()
                ),
            }),
            Ordering::Equal | Ordering::Greater => Ok(()),
        }
    }
}

fn latest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

fn changed_schema(place: &str, version: i64) -> DatabaseError {
    DatabaseError::Corrupt {
        what: format!("a schema in {place}"),
        problem: format!(
            "schema {version} is not what this release means by it; use the release that wrote it, or put back a backup"
        ),
    }
}
