//! The logical clock's row.

use package_broker_core::{domain::stamp::StampClock, ports::database::Revisions};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{super::publication::Clock, fault::Fault, rows};

pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Clock, Fault> {
    let row: SqliteRow =
        sqlx::query("SELECT document_stamp, unique_stamp, absent_stamp, packages, tokens, repositories, declared FROM clock")
            .fetch_one(connection)
            .await?;
    let stamps = StampClock {
        document: rows::stamp(&row, 0)?,
        unique: rows::stamp(&row, 1)?,
    };
    Ok(Clock {
        stamps,
        absent: rows::stamp(&row, 2)?,
        revisions: Revisions {
            packages: row.try_get(3)?,
            tokens: row.try_get(4)?,
            repositories: row.try_get(5)?,
            declared: row.try_get(6)?,
        },
    })
}

pub(super) async fn save(clock: Clock, connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE clock SET document_stamp = ?1, unique_stamp = ?2, absent_stamp = ?3, packages = ?4, tokens = ?5, \
         repositories = ?6, declared = ?7",
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
