//! The logical clock's row, which is also the lock of all who change what is published.

use package_broker_core::domain::{stamp::Stamp, stamp::StampClock};
use sqlx::postgres::PgRow;

use super::{super::publication::Clock, Connection, fault::Fault, rows};

/// Locks the row until the transaction ends, and reads it.
pub(super) async fn lock(connection: &mut Connection) -> Result<Clock, Fault> {
    let row: PgRow =
        sqlx::query("SELECT document_stamp, unique_stamp, absent_stamp FROM clock FOR UPDATE")
            .fetch_one(connection)
            .await?;
    Ok(Clock {
        stamps: StampClock {
            document: rows::stamp(&row, 0)?,
            unique: rows::stamp(&row, 1)?,
        },
        absent: rows::stamp(&row, 2)?,
    })
}

/// When a served name last disappeared.
pub(super) async fn absent(connection: &mut Connection) -> Result<Stamp, Fault> {
    let absent = sqlx::query_scalar("SELECT absent_stamp FROM clock");
    Ok(Stamp(absent.fetch_one(connection).await?))
}

pub(super) async fn save(clock: Clock, connection: &mut Connection) -> Result<(), Fault> {
    sqlx::query("UPDATE clock SET document_stamp = $1, unique_stamp = $2, absent_stamp = $3")
        .bind(clock.stamps.document.0)
        .bind(clock.stamps.unique.0)
        .bind(clock.absent.0)
        .execute(connection)
        .await?;
    Ok(())
}
