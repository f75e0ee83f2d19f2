//! Removing rows that nobody needs any more.

use sqlx::PgConnection;

use super::MAX_ROWS;

/// Rows that one statement removes at most.
const BATCH: i64 = 1_000;

/// Statements of one sweep: what is left is for the next.
const BATCHES: usize = 25;

/// Removes rows that have ended, and the first to end of those that are too many. On a server that takes no writes, it
/// fails.
pub(super) async fn sweep(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    for _ in 0..BATCHES {
        // Another replica may be sweeping too: each takes what the other has not.
        let removed = sqlx::query(
            "DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE ends <= greatest(now(), \
             (SELECT ends FROM counters ORDER BY ends DESC OFFSET $1 LIMIT 1)) \
             ORDER BY ends LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind(MAX_ROWS)
        .bind(BATCH)
        .execute(&mut *connection)
        .await?
        .rows_affected();
        if removed < BATCH.unsigned_abs() {
            return Ok(());
        }
    }
    Ok(())
}
