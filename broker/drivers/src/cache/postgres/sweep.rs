//! Removing rows that nobody needs any more.

use sqlx::PgConnection;

use super::MAX_ROWS;

/// Rows that one statement removes at most.
const BATCH: i64 = 1_000;

/// Such statements of one kind in a sweep: what is left is for the next.
const BATCHES: i64 = 25;

/// What is asked of one table. Another replica may be sweeping too: each removes what the other does not.
struct Table {
    /// Removes so many of the rows that have ended.
    ended: &'static str,
    /// Removes so many of those that end first.
    first: &'static str,
    /// How many there are.
    count: &'static str,
    /// A write that changes nothing.
    probe: &'static str,
}

const TABLES: [Table; 2] = [
    Table {
        ended: "DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE ends <= now() \
                ORDER BY ends LIMIT $1 FOR UPDATE SKIP LOCKED)",
        first: "DELETE FROM counters WHERE key IN (SELECT key FROM counters \
                ORDER BY ends LIMIT $1 FOR UPDATE SKIP LOCKED)",
        count: "SELECT count(*) FROM counters",
        probe: "DELETE FROM counters WHERE false",
    },
    Table {
        ended: "DELETE FROM quotas WHERE key IN (SELECT key FROM quotas WHERE expires <= now() \
                ORDER BY expires LIMIT $1 FOR UPDATE SKIP LOCKED)",
        first: "DELETE FROM quotas WHERE key IN (SELECT key FROM quotas \
                ORDER BY expires LIMIT $1 FOR UPDATE SKIP LOCKED)",
        count: "SELECT count(*) FROM quotas",
        probe: "DELETE FROM quotas WHERE false",
    },
];

/// Proves that the tables are there and take writes.
pub(super) async fn probe(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for table in TABLES {
        sqlx::query(table.probe).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Removes what has ended, and the first to end of what is too much. Given up at any moment, it keeps what it has done.
pub(super) async fn sweep(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for table in TABLES {
        remove(connection, table.ended, BATCHES * BATCH).await?;
        let count = sqlx::query_scalar::<_, i64>(table.count);
        let excess = count.fetch_one(&mut *connection).await? - MAX_ROWS;
        remove(connection, table.first, excess.min(BATCHES * BATCH)).await?;
    }
    Ok(())
}

/// Removes up to `most` rows, some at a time.
async fn remove(
    connection: &mut PgConnection,
    delete: &'static str,
    most: i64,
) -> Result<(), sqlx::Error> {
    let mut left = most;
    while left > 0 {
        let batch = left.min(BATCH);
        let deleted = sqlx::query(delete).bind(batch);
        let deleted = deleted.execute(&mut *connection).await?.rows_affected();
        if deleted < batch.unsigned_abs() {
            return Ok(());
        }
        left -= batch;
    }
    Ok(())
}
