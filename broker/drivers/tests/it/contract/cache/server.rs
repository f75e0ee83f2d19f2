//! What tests of caches on a server wait for.

use package_broker_core::ports::cache::CacheError;

use super::*;

/// Counts until it works again, within the bound of each call.
pub(super) async fn count_again(cache: &dyn Cache, key: &str) -> u64 {
    let deadline = Instant::now() + PATIENCE * 3;
    loop {
        match cache.count(key, HOUR).await {
            Ok(events) => return events,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// Counts until it fails, and returns how.
pub(super) async fn count_until_it_fails(cache: &dyn Cache) -> CacheError {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Err(error) = cache.count("until it fails", HOUR).await {
            return error;
        }
        assert!(Instant::now() < deadline, "it never fails");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn hear_everything(changes: &mut Receiver<Change>) {
    loop {
        if next(changes).await.unwrap() == Change::Everything {
            return;
        }
    }
}
