//! The end of records: those older than the retention are removed, a few at a time.

use std::{sync::atomic::Ordering, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::AuditService;
use crate::ports::database::DatabaseError;

/// The time between two looks for records that are too old; a tenth more at most, so that replicas do not look together.
pub(super) const LOOK_EVERY: Duration = Duration::from_mins(30);
/// Records that one transaction removes.
pub(super) const ROWS: u32 = 1_000;
/// The time between two such transactions, for others that write.
const BETWEEN: Duration = Duration::from_millis(50);

impl AuditService {
    pub(super) async fn keep_expiring(&self) {
        loop {
            let work = async {
                if let Err(error) = self.expire().await {
                    tracing::warn!(%error, "old records of the audit log could not be removed");
                }
                let _ = tokio::time::timeout(
                    jittered(self.pace.expire),
                    self.retention_changed.notified(),
                )
                .await;
            };
            if self.closing.run_until_cancelled(work).await.is_none() {
                return;
            }
        }
    }

    /// Removes the records that are too old now.
    async fn expire(&self) -> Result<(), DatabaseError> {
        let retention = self.retention.load(Ordering::Acquire);
        let retention = SignedDuration::from_secs(i64::try_from(retention).unwrap_or(i64::MAX));
        if retention.is_zero() {
            return Ok(());
        }
        // A time before all times keeps everything.
        let Ok(before) = Timestamp::now().checked_sub(retention) else {
            return Ok(());
        };
        while self.store.expire_records(before, ROWS).await? >= u64::from(ROWS) {
            tokio::time::sleep(BETWEEN).await;
        }
        Ok(())
    }
}

fn jittered(pause: Duration) -> Duration {
    let mut random = [0u8; 1];
    // Without random numbers there is no jitter; nothing else depends on it.
    let _ = getrandom::fill(&mut random);
    pause + pause * u32::from(random[0]) / 2_560
}
