//! The audit log.

use async_trait::async_trait;
use jiff::Timestamp;
use package_broker_core::{
    domain::audit::Record,
    ports::{
        audit::{AuditStore, Batch, Filter, Position},
        database::DatabaseError,
    },
};
use sqlx::{QueryBuilder, Row as _, SqliteConnection, sqlite::SqliteRow};

use super::{
    super::audit::{COLUMNS, Row, WRITERS_KEPT, count},
    Sqlite,
    fault::Fault,
};

/// Rows of one statement: with eleven parameters each, far below SQLite's bound of 32 766.
const ROWS: usize = 256;

#[async_trait]
impl AuditStore for Sqlite {
    async fn append_records(&self, batch: &Batch<'_>) -> Result<(), DatabaseError> {
        self.write_records(batch)
            .await
            .map_err(self.explain("write the audit log"))
    }

    async fn expire_records(&self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError> {
        self.delete_records(before, limit)
            .await
            .map_err(self.explain("remove old records of the audit log"))
    }

    async fn read_records(
        &self,
        filter: &Filter,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, Record)>, DatabaseError> {
        self.select_records(filter, after, limit)
            .await
            .map_err(self.explain("read the audit log"))
    }
}

impl Sqlite {
    async fn write_records(&self, batch: &Batch<'_>) -> Result<(), Fault> {
        if batch.records.is_empty() {
            return Ok(());
        }
        let mut transaction = self.write().await?;
        let is_new = sqlx::query(
            "INSERT INTO audit_writers (writer, batch, written_at) VALUES (?1, ?2, unixepoch()) \
             ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, written_at = excluded.written_at \
             WHERE batch < excluded.batch",
        )
        .bind(batch.writer.as_slice())
        .bind(batch.number)
        .execute(&mut *transaction)
        .await?
        .rows_affected()
            == 1;
        if is_new {
            for records in batch.records.chunks(ROWS) {
                insert(&mut transaction, records).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn delete_records(&self, before: Timestamp, limit: u32) -> Result<u64, Fault> {
        let mut transaction = self.write().await?;
        let removed = sqlx::query(
            "DELETE FROM audit WHERE id IN \
             (SELECT id FROM audit WHERE last_at < ?1 ORDER BY last_at, id LIMIT ?2)",
        )
        .bind(before.as_microsecond())
        .bind(limit)
        .execute(&mut *transaction)
        .await?
        .rows_affected();
        sqlx::query("DELETE FROM audit_writers WHERE written_at < unixepoch() - ?1")
            .bind(WRITERS_KEPT)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(removed)
    }

    async fn select_records(
        &self,
        filter: &Filter,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, Record)>, Fault> {
        let mut query: QueryBuilder<sqlx::Sqlite> =
            QueryBuilder::new(format!("SELECT id, {COLUMNS} FROM audit WHERE true"));
        if let Some(since) = filter.since {
            query
                .push(" AND last_at >= ")
                .push_bind(since.as_microsecond());
        }
        if let Some(until) = filter.until {
            query
                .push(" AND last_at < ")
                .push_bind(until.as_microsecond());
        }
        if let Some(actor) = &filter.actor {
            query.push(" AND actor = ").push_bind(actor.as_str());
        }
        if let Some(subject) = &filter.subject {
            query.push(" AND subject = ").push_bind(subject.as_str());
        }
        if let Some(action) = filter.action {
            query.push(" AND action = ").push_bind(action.as_str());
        }
        if let Some(Position { last, id }) = after {
            query
                .push(" AND (last_at, id) > (")
                .push_bind(last.as_microsecond());
            query.push(", ").push_bind(id).push(")");
        }
        query.push(" ORDER BY last_at, id LIMIT ").push_bind(limit);
        let found = query.build().fetch_all(&self.readers).await?;
        found.iter().map(record).collect()
    }
}

async fn insert(connection: &mut SqliteConnection, records: &[Record]) -> Result<(), Fault> {
    let mut query: QueryBuilder<sqlx::Sqlite> =
        QueryBuilder::new(format!("INSERT INTO audit ({COLUMNS}) "));
    query.push_values(records, |mut row, record| {
        row.push_bind(record.first.as_microsecond())
            .push_bind(record.last.as_microsecond())
            .push_bind(count(record))
            .push_bind(&*record.actor)
            .push_bind(record.address.map(|address| address.to_string()))
            .push_bind(record.action.as_str())
            .push_bind(record.subject.as_deref())
            .push_bind(record.version.as_deref())
            .push_bind(record.repository.as_deref())
            .push_bind(record.outcome.as_str())
            .push_bind(record.detail.as_deref());
    });
    query.build().execute(connection).await?;
    Ok(())
}

fn record(row: &SqliteRow) -> Result<(Position, Record), Fault> {
    let row = Row {
        id: row.try_get(0)?,
        first: row.try_get(1)?,
        last: row.try_get(2)?,
        count: row.try_get(3)?,
        actor: row.try_get(4)?,
        address: row.try_get(5)?,
        action: row.try_get(6)?,
        subject: row.try_get(7)?,
        version: row.try_get(8)?,
        repository: row.try_get(9)?,
        outcome: row.try_get(10)?,
        detail: row.try_get(11)?,
    };
    Ok(row.record()?)
}
