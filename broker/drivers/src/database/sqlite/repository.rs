//! Repositories' records, and settings.

use async_trait::async_trait;
use package_broker_core::{
    domain::names::RepositoryName,
    ports::database::{DatabaseError, Failure, Fence, RepositoryRecord, RepositoryStore},
};
use sqlx::{Row, SqliteConnection, sqlite::SqliteRow};

use super::{Sqlite, fault::Fault, rows};

#[async_trait]
impl RepositoryStore for Sqlite {
    async fn repositories(&self) -> Result<Vec<RepositoryRecord>, DatabaseError> {
        self.read_repositories()
            .await
            .map_err(self.explain("read the repositories"))
    }

    async fn save_repository(
        &self,
        record: &RepositoryRecord,
        fence: Option<Fence>,
    ) -> Result<(), DatabaseError> {
        self.write_repository(record, fence)
            .await
            .map_err(self.explain("write a repository"))
    }

    async fn forget_repository(&self, name: &RepositoryName) -> Result<(), DatabaseError> {
        self.delete_repository(name)
            .await
            .map_err(self.explain("remove a repository"))
    }

    async fn setting(&self, key: &str) -> Result<Option<String>, DatabaseError> {
        let select = sqlx::query_scalar("SELECT value FROM settings WHERE key = ?1").bind(key);
        let found = select.fetch_optional(&self.readers).await;
        found.map_err(|error| self.explain("read a setting")(error.into()))
    }

    async fn save_setting(&self, key: &str, value: &str) -> Result<(), DatabaseError> {
        let insert = sqlx::query("INSERT OR REPLACE INTO settings (key, value) VALUES (?1, ?2)")
            .bind(key)
            .bind(value);
        let done = insert.execute(&self.writer).await;
        done.map(drop)
            .map_err(|error| self.explain("write a setting")(error.into()))
    }
}

impl Sqlite {
    async fn read_repositories(&self) -> Result<Vec<RepositoryRecord>, Fault> {
        let query = "SELECT name, kind, url, fingerprint, state, listing, changed_at, \
                     failure_at, failure_count, failure_message, skipped FROM repositories ORDER BY name";
        let found = sqlx::query(query).fetch_all(&self.readers).await?;
        found.iter().map(record).collect()
    }

    async fn write_repository(
        &self,
        record: &RepositoryRecord,
        fence: Option<Fence>,
    ) -> Result<(), Fault> {
        let failure = record.failure.as_ref();
        let skipped = serde_json::to_string(&record.skipped)
            .map_err(|error| Fault::corrupt("what was skipped in a repository", &error))?;
        let mut transaction = self.write().await?;
        note_change(&mut transaction).await?;
        self.claims.check(fence)?;
        sqlx::query(
            "INSERT OR REPLACE INTO repositories (name, kind, url, fingerprint, state, listing, changed_at, \
             failure_at, failure_count, failure_message, skipped) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )
        .bind(record.name.as_str())
        .bind(record.kind.as_str())
        .bind(record.url.as_str())
        .bind(record.fingerprint.as_str())
        .bind(record.state.as_deref())
        .bind(record.listing.as_deref())
        .bind(record.changed_at.map(|time| time.to_string()))
        .bind(failure.map(|failure| failure.at.to_string()))
        .bind(failure.map(|failure| failure.count))
        .bind(failure.map(|failure| failure.message.as_str()))
        .bind(skipped)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn delete_repository(&self, name: &RepositoryName) -> Result<(), Fault> {
        let mut transaction = self.write().await?;
        note_change(&mut transaction).await?;
        sqlx::query("DELETE FROM repositories WHERE name = ?1")
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

async fn note_change(connection: &mut SqliteConnection) -> Result<(), Fault> {
    sqlx::query("UPDATE clock SET repositories = repositories + 1")
        .execute(connection)
        .await?;
    Ok(())
}

fn record(row: &SqliteRow) -> Result<RepositoryRecord, Fault> {
    let name = rows::repository(row, 0)?;
    let skipped = serde_json::from_str(row.try_get(10)?).map_err(|error| {
        Fault::corrupt(format!("what was skipped in repository {name}"), &error)
    })?;
    let failure = match rows::time(row, 7)? {
        Some(at) => Some(Failure {
            at,
            count: row.try_get(8)?,
            message: row.try_get(9)?,
        }),
        None => None,
    };
    Ok(RepositoryRecord {
        name,
        kind: row.try_get(1)?,
        url: row.try_get(2)?,
        fingerprint: row.try_get(3)?,
        state: row.try_get(4)?,
        listing: row.try_get(5)?,
        changed_at: rows::time(row, 6)?,
        failure,
        skipped,
    })
}
