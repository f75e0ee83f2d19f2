//! When tokens that are made here are looked at again: one is rotated, or the one before it is no longer kept.

use std::{
    future::pending,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// The longest wait before the clock is looked at again: it may be set, and a machine may sleep.
const LONGEST: Duration = Duration::from_mins(1);

/// The next time that something is to be done.
#[derive(Debug, Default)]
pub(crate) struct Renewal(Mutex<Option<Timestamp>>);

impl Renewal {
    /// Sets it; nothing is never.
    pub(crate) fn set(&self, next: Option<Timestamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// Waits for it. Cancel safe.
    pub(crate) async fn due(&self) {
        loop {
            let next = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(next) = next else {
                return pending().await;
            };
            let left = next.duration_since(Timestamp::now());
            match Duration::try_from(left) {
                Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST)).await,
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn it_is_due_when_its_time_has_come() {
        let renewal = Renewal::default();
        let is_due = || async { tokio::time::timeout(SHORT, renewal.due()).await.is_ok() };
        assert!(!is_due().await);
        renewal.set(Some(Timestamp::now() + Duration::from_mins(5)));
        assert!(!is_due().await);
        renewal.set(Some(Timestamp::now() + Duration::from_millis(5)));
        tokio::time::timeout(Duration::from_secs(20), renewal.due())
            .await
            .unwrap();
        renewal.set(Some(Timestamp::UNIX_EPOCH));
        assert!(is_due().await);
    }
}
