//! Stamps of root files, by view.

use package_broker_core::domain::stamp::Stamp;
use sqlx::{SqliteExecutor, sqlite::SqliteRow};

use super::{Sqlite, clock::Clock, fault::Fault, rows};

/// The most views remembered. One forgotten gets a new stamp when it is asked for again: its clients load the root
/// file once more.
pub(super) const MAX_VIEWS: i64 = 10_000;

impl Sqlite {
    pub(super) async fn stamp_root(
        &self,
        view: &[u8; 32],
        digest: &[u8; 32],
        now: Stamp,
    ) -> Result<Stamp, Fault> {
        if let Some(stamp) = given(&self.readers, view, digest).await? {
            return Ok(stamp);
        }
        let mut transaction = self.write().await?;
        if let Some(stamp) = given(&mut *transaction, view, digest).await? {
            return Ok(stamp);
        }
        let mut clock = Clock::load(&mut transaction).await?;
        let stamp = clock.stamps.next_unique(now);
        sqlx::query("INSERT OR REPLACE INTO root_stamps (view, digest, stamp) VALUES (?1, ?2, ?3)")
            .bind(view.as_slice())
            .bind(digest.as_slice())
            .bind(stamp.0)
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "DELETE FROM root_stamps WHERE stamp <= \
             (SELECT stamp FROM root_stamps ORDER BY stamp DESC LIMIT 1 OFFSET ?1)",
        )
        .bind(MAX_VIEWS)
        .execute(&mut *transaction)
        .await?;
        clock.save(&mut transaction).await?;
        transaction.commit().await?;
        Ok(stamp)
    }
}

async fn given(
    executor: impl SqliteExecutor<'_>,
    view: &[u8; 32],
    digest: &[u8; 32],
) -> Result<Option<Stamp>, Fault> {
    let row: Option<SqliteRow> =
        sqlx::query("SELECT stamp FROM root_stamps WHERE view = ?1 AND digest = ?2")
            .bind(view.as_slice())
            .bind(digest.as_slice())
            .fetch_optional(executor)
            .await?;
    row.map(|row| rows::stamp(&row, 0)).transpose()
}
