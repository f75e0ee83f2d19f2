//! Claims, on the server's clock.

use std::time::Duration;

use async_trait::async_trait;
use package_broker_core::ports::database::{ClaimStore, DatabaseError, Fence};

use super::{Connection, Postgres, fault::Fault};

#[async_trait]
impl ClaimStore for Postgres {
    async fn claim(&self, what: &str, lease: Duration) -> Result<Option<Fence>, DatabaseError> {
        self.run("make a claim", self.make_claim(what, lease)).await
    }

    async fn renew(&self, fence: Fence, lease: Duration) -> Result<bool, DatabaseError> {
        let update = sqlx::query(
            "UPDATE claims SET expires_at = now() + $2 * interval '1 millisecond' WHERE epoch = $1",
        )
        .bind(fence.0)
        .bind(milliseconds(lease));
        let update = async { Ok(update.execute(&self.pool).await?.rows_affected() == 1) };
        self.run("renew a claim", update).await
    }

    async fn release(&self, fence: Fence) -> Result<(), DatabaseError> {
        let delete = sqlx::query("DELETE FROM claims WHERE epoch = $1").bind(fence.0);
        let delete = async { Ok(delete.execute(&self.pool).await.map(drop)?) };
        self.run("release a claim", delete).await
    }
}

impl Postgres {
    async fn make_claim(&self, what: &str, lease: Duration) -> Result<Option<Fence>, Fault> {
        let mut transaction = self.pool.begin().await?;
        sqlx::query(
            "DELETE FROM claims WHERE epoch IN \
             (SELECT epoch FROM claims WHERE expires_at <= now() FOR UPDATE SKIP LOCKED)",
        )
        .execute(&mut *transaction)
        .await?;
        let epoch: Option<i64> = sqlx::query_scalar(
            "INSERT INTO claims (what, expires_at) VALUES ($1, now() + $2 * interval '1 millisecond') \
             ON CONFLICT DO NOTHING RETURNING epoch",
        )
        .bind(what)
        .bind(milliseconds(lease))
        .fetch_optional(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(epoch.map(Fence))
    }
}

/// Refuses what is written under a claim that is over, and keeps the claim until the transaction ends.
pub(super) async fn check(connection: &mut Connection, fence: Option<Fence>) -> Result<(), Fault> {
    let Some(fence) = fence else { return Ok(()) };
    let stands: Option<i64> =
        sqlx::query_scalar("SELECT epoch FROM claims WHERE epoch = $1 FOR SHARE")
            .bind(fence.0)
            .fetch_optional(connection)
            .await?;
    stands.map(drop).ok_or(Fault::Fenced)
}

fn milliseconds(lease: Duration) -> f64 {
    lease.as_secs_f64() * 1_000.0
}
