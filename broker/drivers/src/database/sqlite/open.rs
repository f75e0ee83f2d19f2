//! Opening: connections, their settings, and the schema.

use std::{future::ready, io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};

use package_broker_core::ports::database::DatabaseError;
use sqlx::{
    ConnectOptions, Connection,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::{Sqlite, fault::Fault};

/// One after another; what was released never changes.
static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Connections that read at the same time.
const READERS: u32 = 4;

/// Bytes of a page of a new file. Documents and versions are a few kilobytes as a rule: most fit into one, where with
/// SQLite's 4096 each would be a chain.
const PAGE_SIZE: u32 = 16_384;

/// The write-ahead log goes back into the file when it has this many pages (16 MiB) ...
const CHECKPOINT_PAGES: &str = "1024";

/// ... and is cut to this many bytes afterwards.
const LOG_SIZE: &str = "16777216";

/// How long a statement waits for another process's lock, a backup's for instance.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a call waits for a free connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);

/// After this time without use a connection is closed: its thread and its cache are not worth the memory.
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);

const OPEN: &str = "open its file";

impl Sqlite {
    /// Opens the database at `path` and brings its schema up to date. Where there is no file, makes one that only
    /// its owner can read; the folder must be there.
    ///
    /// # Errors
    /// [`DatabaseError::Corrupt`] if the file is damaged, is no SQLite database, or was written by a newer release;
    /// [`DatabaseError::Unavailable`] if it cannot be opened or written. Both name the file and what to do.
    pub async fn open(path: &Path) -> Result<Self, DatabaseError> {
        create_private(path)
            .await
            .map_err(|error| unavailable(path, &error))?;
        let options = options(path);
        let write = options
            .clone()
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .page_size(PAGE_SIZE)
            .statement_cache_capacity(32)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("journal_size_limit", LOG_SIZE)
            .pragma("cache_size", "-4096");
        let read = options
            .pragma("query_only", "ON")
            .pragma("cache_size", "-1024");
        // A full disk makes SQLite roll back by itself (<https://www.sqlite.org/lang_transaction.html>), which sqlx does
        // not see: it would take the connection for one inside a transaction for good. Such a one is replaced.
        let database = Self {
            path: path.into(),
            writer: pool(1)
                .before_acquire(|connection, _| {
                    Box::pin(ready(Ok(!connection.is_in_transaction())))
                })
                .connect_lazy_with(write),
            readers: pool(READERS).connect_lazy_with(read),
            claims: Arc::default(),
            requests: Arc::default(),
        };
        database.migrate().await?;
        Ok(database)
    }

    /// Opens a database for reading only, beside a broker that may be running. Never makes a file and never changes
    /// the schema; every write fails.
    ///
    /// # Errors
    /// [`DatabaseError::Unavailable`] if there is no file, or if it is from an older release that was never started
    /// since; [`DatabaseError::Corrupt`] as for [`Sqlite::open`].
    pub async fn open_existing(path: &Path) -> Result<Self, DatabaseError> {
        tokio::fs::metadata(path)
            .await
            .map_err(|error| unavailable(path, &error))?;
        let readers = pool(READERS)
            .connect_lazy_with(options(path).read_only(true).pragma("cache_size", "-1024"));
        let database = Self {
            path: path.into(),
            writer: readers.clone(),
            readers,
            claims: Arc::default(),
            requests: Arc::default(),
        };
        database.check_schema().await?;
        Ok(database)
    }

    async fn migrate(&self) -> Result<(), DatabaseError> {
        // One connection from beginning to end: the pool's only one, so nobody else writes meanwhile.
        MIGRATIONS
            .run(&self.writer)
            .await
            .map_err(|error| match error {
                MigrateError::VersionMissing(found) => newer_release(&self.path, found),
                MigrateError::VersionMismatch(version) | MigrateError::Dirty(version) => {
                    changed_schema(&self.path, version)
                }
                MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                    Fault::Sql(error).explain(OPEN, &self.path)
                }
                other => unavailable(&self.path, &other),
            })
    }

    /// Whether the schema is exactly this release's.
    async fn check_schema(&self) -> Result<(), DatabaseError> {
        let explain = |error: sqlx::Error| Fault::Sql(error).explain(OPEN, &self.path);
        let named = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
        let tables: i64 = sqlx::query_scalar(named)
            .fetch_one(&self.readers)
            .await
            .map_err(explain)?;
        let found = if tables == 0 {
            0
        } else {
            let newest = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success";
            sqlx::query_scalar(newest)
                .fetch_one(&self.readers)
                .await
                .map_err(explain)?
        };
        match found.cmp(&latest()) {
            std::cmp::Ordering::Less => {
                let problem = format!(
                    "its schema {found} is older than {}; start the broker once, it brings it up to date",
                    latest()
                );
                Err(unavailable(&self.path, &problem))
            }
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater => Err(newer_release(&self.path, found)),
        }
    }
}

/// What all connections have in common.
fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .foreign_keys(true)
        .row_buffer_size(256)
        .thread_name(|number| format!("sqlite-{number}"))
        .disable_statement_logging()
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE_TIMEOUT)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Makes the file, if there is none, readable for its owner only. SQLite gives its side files the same mode.
async fn create_private(path: &Path) -> io::Result<()> {
    let path = path.to_owned();
    let create = move || {
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map(drop)
    };
    tokio::task::spawn_blocking(create)
        .await
        .unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn latest() -> i64 {
    MIGRATIONS
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap_or_default()
}

fn unavailable(path: &Path, problem: &dyn std::fmt::Display) -> DatabaseError {
    DatabaseError::Unavailable {
        action: OPEN,
        problem: format!("{}: {problem}", path.display()),
    }
}

fn newer_release(path: &Path, found: i64) -> DatabaseError {
    DatabaseError::Corrupt {
        what: format!("a schema in {}", path.display()),
        problem: format!(
            "it was written by a newer release (schema {found}, this one knows up to {}); start that release or a \
             newer one, or put back a backup from before the upgrade",
            latest()
        ),
    }
}

fn changed_schema(path: &Path, version: i64) -> DatabaseError {
    DatabaseError::Corrupt {
        what: format!("a schema in {}", path.display()),
        problem: format!(
            "schema {version} is not what this release means by it; start the release that wrote the file, or put \
             back a backup"
        ),
    }
}
