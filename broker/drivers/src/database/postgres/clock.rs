//! The logical clock's row, which is also the lock of all who change what is published.

use package_broker_core::{domain::stamp::StampClock, ports::database::Revisions};
use sqlx::{PgExecutor, Row, postgres::PgRow};

use super::{super::publication::Clock, Connection, fault::Fault, rows};

/// Locks the row until the transaction ends, and reads it.
pub(super) async fn lock(connection: &mut Connection) -> Result<Clock, Fault> {
    let query = "SELECT document_stamp, unique_stamp, absent_stamp, packages, tokens, repositories, declared FROM clock \
                 FOR UPDATE";
    clock(&sqlx::query(query).fetch_one(connection).await?)
}

/// Reads the row as it is in the transaction's snapshot.
pub(super) async fn read(executor: impl PgExecutor<'_>) -> Result<Clock, Fault> {
    let query = "SELECT document_stamp, unique_stamp, absent_stamp, packages, tokens, repositories, declared FROM clock";
    clock(&sqlx::query(query).fetch_one(executor).await?)
}

fn clock(row: &PgRow) -> Result<Clock, Fault> {
    Ok(Clock {
        stamps: StampClock {
            document: rows::stamp(row, 0)?,
            unique: rows::stamp(row, 1)?,
        },
        absent: rows::stamp(row, 2)?,
        revisions: Revisions {
            packages: row.try_get(3)?,
            tokens: row.try_get(4)?,
            repositories: row.try_get(5)?,
            declared: row.try_get(6)?,
        },
    })
}

pub(super) async fn save(clock: Clock, connection: &mut Connection) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE clock SET document_stamp = $1, unique_stamp = $2, absent_stamp = $3, packages = $4, tokens = $5, \
         repositories = $6, declared = $7",
    )
        .bind(clock.stamps.document.0)
        .bind(clock.stamps.unique.0)
        .bind(clock.absent.0)
        .bind(clock.revisions.packages)
        .bind(clock.revisions.tokens)
        .bind(clock.revisions.repositories)
        .bind(clock.revisions.declared)
        .execute(connection)
        .await?;
    Ok(())
}
