//! Removing rows that nobody needs any more.

use sqlx::PgConnection;

use super::MAX_ROWS;

/// Rows that one statement removes at most.
const BATCH: i64 = 1_000;

/// Statements of one sweep: what is left is for the next.
const BATCHES: usize = 25;

/// Removes what has ended, and the first to end of what is too much. On a server that takes no writes, it fails.
///
/// Another replica may be sweeping too: each takes what the other has not.
pub(super) async fn sweep(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let counters = "DELETE FROM counters WHERE key IN (SELECT key FROM counters WHERE ends <= greatest(now(), \
                    (SELECT ends FROM counters ORDER BY ends DESC OFFSET $1 LIMIT 1)) \
                    ORDER BY ends LIMIT $2 FOR UPDATE SKIP LOCKED)";
    let quotas = "DELETE FROM quotas WHERE key IN (SELECT key FROM quotas WHERE expires <= greatest(now(), \
                  (SELECT expires FROM quotas ORDER BY expires DESC OFFSET $1 LIMIT 1)) \
                  ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED)";
    for delete in [counters, quotas] {
        for _ in 0..BATCHES {
            let delete = sqlx::query(delete).bind(MAX_ROWS).bind(BATCH);
            let deleted = delete.execute(&mut *connection).await?.rows_affected();
            if deleted < BATCH.unsigned_abs() {
                break;
            }
        }
    }
    Ok(())
}
