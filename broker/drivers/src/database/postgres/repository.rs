//! Repositories' records, and settings.

use async_trait::async_trait;
use package_broker_core::{
    domain::names::RepositoryName,
    ports::database::{DatabaseError, Failure, Fence, RepositoryRecord, RepositoryStore},
};
use sqlx::{Row, postgres::PgRow};

use super::{Connection, Postgres, claim, fault::Fault, rows};

#[async_trait]
impl RepositoryStore for Postgres {
    async fn repositories(&self) -> Result<Vec<RepositoryRecord>, DatabaseError> {
        self.run("read the repositories", self.read_repositories())
            .await
    }

    async fn save_repository(
        &self,
        record: &RepositoryRecord,
        fence: Option<Fence>,
    ) -> Result<(), DatabaseError> {
        self.run("write a repository", self.write_repository(record, fence))
            .await
    }

    async fn forget_repository(&self, name: &RepositoryName) -> Result<(), DatabaseError> {
        self.run("remove a repository", self.delete_repository(name))
            .await
    }

    async fn setting(&self, key: &str) -> Result<Option<String>, DatabaseError> {
        let select = sqlx::query_scalar("SELECT value FROM settings WHERE key = $1").bind(key);
        let select = async { Ok(select.fetch_optional(&self.pool).await?) };
        self.run("read a setting", select).await
    }

    async fn save_setting(&self, key: &str, value: &str) -> Result<(), DatabaseError> {
        let insert = sqlx::query(
            "INSERT INTO settings (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )
        .bind(key)
        .bind(value);
        let insert = async { Ok(insert.execute(&self.pool).await.map(drop)?) };
        self.run("write a setting", insert).await
    }
}

impl Postgres {
    async fn read_repositories(&self) -> Result<Vec<RepositoryRecord>, Fault> {
        let query = "SELECT name, kind, url, fingerprint, state, listing, \
                     (extract(epoch FROM changed_at) * 1000000)::bigint, \
                     (extract(epoch FROM failure_at) * 1000000)::bigint, \
                     failure_count, failure_message, skipped::text FROM repositories ORDER BY name";
        let found = sqlx::query(query).fetch_all(&self.pool).await?;
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
        let mut transaction = self.pool.begin().await?;
        note_change(&mut transaction).await?;
        claim::check(&mut transaction, fence).await?;
        sqlx::query(
            "INSERT INTO repositories (name, kind, url, fingerprint, state, listing, changed_at, failure_at, \
             failure_count, failure_message, skipped) VALUES ($1, $2, $3, $4, $5, $6, $7::text::timestamptz, \
             $8::text::timestamptz, $9, $10, $11::text::json) \
             ON CONFLICT (name) DO UPDATE SET kind = excluded.kind, url = excluded.url, \
             fingerprint = excluded.fingerprint, state = excluded.state, listing = excluded.listing, \
             changed_at = excluded.changed_at, failure_at = excluded.failure_at, \
             failure_count = excluded.failure_count, failure_message = excluded.failure_message, \
             skipped = excluded.skipped",
        )
        .bind(record.name.as_str())
        .bind(record.kind.as_str())
        .bind(rows::text(&record.url))
        .bind(record.fingerprint.as_str())
        .bind(record.state.as_deref().map(rows::text))
        .bind(record.listing.as_deref().map(rows::text))
        .bind(record.changed_at.map(|time| time.to_string()))
        .bind(failure.map(|failure| failure.at.to_string()))
        .bind(failure.map(|failure| i64::from(failure.count)))
        .bind(failure.map(|failure| rows::text(&failure.message)))
        .bind(skipped)
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn delete_repository(&self, name: &RepositoryName) -> Result<(), Fault> {
        let mut transaction = self.pool.begin().await?;
        note_change(&mut transaction).await?;
        sqlx::query("DELETE FROM repositories WHERE name = $1")
            .bind(name.as_str())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }
}

/// Takes the clock's row, as all who change something do first.
async fn note_change(connection: &mut Connection) -> Result<(), Fault> {
    sqlx::query("UPDATE clock SET repositories = repositories + 1")
        .execute(connection)
        .await?;
    Ok(())
}

fn record(row: &PgRow) -> Result<RepositoryRecord, Fault> {
    let name = rows::repository(row, 0)?;
    let skipped = serde_json::from_str(row.try_get(10)?).map_err(|error| {
        Fault::corrupt(format!("what was skipped in repository {name}"), &error)
    })?;
    let failure = match rows::time(row, 7)? {
        Some(at) => Some(Failure {
            at,
            count: u32::try_from(row.try_get::<i64, _>(8)?).unwrap_or(u32::MAX),
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
