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
use sqlx::{QueryBuilder, Row as _, postgres::PgRow};

use super::{
    super::audit::{COLUMNS, Row, WRITERS_KEPT, count},
    Connection, Postgres,
    fault::Fault,
    rows::text,
};

#[async_trait]
impl AuditStore for Postgres {
    async fn append_records(&self, batch: &Batch<'_>) -> Result<(), DatabaseError> {
        self.run("write the audit log", self.write_records(batch))
            .await
    }

    async fn expire_records(&self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError> {
        let work = self.delete_records(before, limit);
        self.run("remove old records of the audit log", work).await
    }

    async fn read_records(
        &self,
        filter: &Filter,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, Record)>, DatabaseError> {
        let work = self.select_records(filter, after, limit);
        self.run("read the audit log", work).await
    }
}

impl Postgres {
    async fn write_records(&self, batch: &Batch<'_>) -> Result<(), Fault> {
        if batch.records.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        let is_new = sqlx::query(
            "INSERT INTO audit_writers (writer, batch, written_at) VALUES ($1, $2, now()) \
             ON CONFLICT (writer) DO UPDATE SET batch = excluded.batch, written_at = excluded.written_at \
             WHERE audit_writers.batch < excluded.batch",
        )
        .bind(batch.writer.as_slice())
        .bind(batch.number)
        .execute(&mut *transaction)
        .await?
        .rows_affected()
            == 1;
        if is_new {
            insert(&mut transaction, batch.records).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    async fn delete_records(&self, before: Timestamp, limit: u32) -> Result<u64, Fault> {
        // What another replica removes just now needs nobody else.
        let removed = sqlx::query(
            "DELETE FROM audit WHERE id IN \
             (SELECT id FROM audit WHERE last_at < $1::timestamptz ORDER BY last_at, id LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(before.to_string())
        .bind(i64::from(limit))
        .execute(&self.pool)
        .await?
        .rows_affected();
        sqlx::query(
            "DELETE FROM audit_writers WHERE written_at < now() - $1 * interval '1 second'",
        )
        .bind(WRITERS_KEPT)
        .execute(&self.pool)
        .await?;
        Ok(removed)
    }

    async fn select_records(
        &self,
        filter: &Filter,
        after: Option<Position>,
        limit: u32,
    ) -> Result<Vec<(Position, Record)>, Fault> {
        let mut query = select(filter, after);
        query
            .push(" ORDER BY last_at, id LIMIT ")
            .push_bind(i64::from(limit));
        let found = query.build().fetch_all(&self.pool).await?;
        found.iter().map(record).collect()
    }
}

fn select(filter: &Filter, after: Option<Position>) -> QueryBuilder<sqlx::Postgres> {
    let columns = COLUMNS
        .replace(
            "first_at",
            "(extract(epoch FROM first_at) * 1000000)::bigint",
        )
        .replace("last_at", "(extract(epoch FROM last_at) * 1000000)::bigint");
    let mut query = QueryBuilder::new(format!("SELECT id, {columns} FROM audit WHERE true"));
    if let Some(since) = filter.since {
        query
            .push(" AND last_at >= ")
            .push_bind(since.to_string())
            .push("::timestamptz");
    }
    if let Some(until) = filter.until {
        query
            .push(" AND last_at < ")
            .push_bind(until.to_string())
            .push("::timestamptz");
    }
    if let Some(actor) = &filter.actor {
        query.push(" AND actor = ").push_bind(text(actor));
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject = ").push_bind(text(subject));
    }
    if let Some(action) = filter.action {
        query.push(" AND action = ").push_bind(action.as_str());
    }
    if let Some(Position { last, id }) = after {
        query
            .push(" AND (last_at, id) > (")
            .push_bind(last.to_string());
        query.push("::timestamptz, ").push_bind(id).push(")");
    }
    query
}

async fn insert(connection: &mut Connection, records: &[Record]) -> Result<(), Fault> {
    let texts = |of: fn(&Record) -> Option<&str>| -> Vec<_> {
        records.iter().map(|record| of(record).map(text)).collect()
    };
    let times = |of: fn(&Record) -> Timestamp| -> Vec<String> {
        records
            .iter()
            .map(|record| of(record).to_string())
            .collect()
    };
    let addresses: Vec<_> = records
        .iter()
        .map(|record| record.address.map(|address| address.to_string()))
        .collect();
    sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO audit ({COLUMNS}) \
         SELECT first_at::timestamptz, last_at::timestamptz, count, actor, address, action, subject, version, \
         repository, outcome, detail \
         FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], \
         $8::text[], $9::text[], $10::text[], $11::text[]) WITH ORDINALITY AS new ({COLUMNS}, place) ORDER BY place"
    )))
    .bind(times(|record| record.first))
    .bind(times(|record| record.last))
    .bind(records.iter().map(count).collect::<Vec<i64>>())
    .bind(texts(|record| Some(&record.actor)))
    .bind(addresses)
    .bind(texts(|record| Some(record.action.as_str())))
    .bind(texts(|record| record.subject.as_deref()))
    .bind(texts(|record| record.version.as_deref()))
    .bind(texts(|record| record.repository.as_deref()))
    .bind(texts(|record| Some(record.outcome.as_str())))
    .bind(texts(|record| record.detail.as_deref()))
    .execute(connection)
    .await?;
    Ok(())
}

fn record(row: &PgRow) -> Result<(Position, Record), Fault> {
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
