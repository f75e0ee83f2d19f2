//! Stamps of root files, by view.

use package_broker_core::domain::stamp::Stamp;
use sqlx::{SqliteExecutor, sqlite::SqliteRow};

use super::{super::MAX_VIEWS, Sqlite, clock, fault::Fault, rows};

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
        let mut clock = clock::load(&mut transaction).await?;
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
        clock::save(clock, &mut transaction).await?;
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
