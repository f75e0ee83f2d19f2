//! The logical clock's row.

use package_broker_core::domain::stamp::{Stamp, StampClock};
use sqlx::{SqliteConnection, sqlite::SqliteRow};

use super::{fault::Fault, rows};

/// The last stamps given. Load, use and save it in one write transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) stamps: StampClock,
    pub(super) absent: Stamp,
}

impl Clock {
    pub(super) async fn load(connection: &mut SqliteConnection) -> Result<Self, Fault> {
        let row: SqliteRow =
            sqlx::query("SELECT document_stamp, unique_stamp, absent_stamp FROM clock")
                .fetch_one(connection)
                .await?;
        let stamps = StampClock {
            document: rows::stamp(&row, 0)?,
            unique: rows::stamp(&row, 1)?,
        };
        Ok(Self {
            stamps,
            absent: rows::stamp(&row, 2)?,
        })
    }

    pub(super) async fn save(self, connection: &mut SqliteConnection) -> Result<(), Fault> {
        sqlx::query("UPDATE clock SET document_stamp = ?1, unique_stamp = ?2, absent_stamp = ?3")
            .bind(self.stamps.document.0)
            .bind(self.stamps.unique.0)
            .bind(self.absent.0)
            .execute(connection)
            .await?;
        Ok(())
    }
}
