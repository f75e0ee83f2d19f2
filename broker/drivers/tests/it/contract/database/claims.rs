//! Claims: what one process at a time may do.

use std::time::Duration;

use futures::future::join_all;
use package_broker_core::{
    domain::stamp::Stamp,
    ports::database::{Changes, Database, DatabaseError, Fence},
};
use tokio::time::{Instant, sleep};

use super::{publication, put, records};

const LONG: Duration = Duration::from_hours(1);
const SHORT: Duration = Duration::from_millis(50);
/// Longer than a lease takes to end on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn claim(database: &dyn Database, what: &str, lease: Duration) -> Option<Fence> {
    database.claim(what, lease).await.unwrap()
}

pub(crate) async fn one_at_a_time_has_a_claim(database: &dyn Database) {
    let all = join_all((0..16).map(|_| claim(database, "sync team", LONG))).await;
    let mut made: Vec<Fence> = all.into_iter().flatten().collect();
    let fence = made.pop().unwrap();
    assert_eq!(made, []);
    let other = claim(database, "sync other", LONG).await.unwrap();
    assert_ne!(other, fence);

    database.release(fence).await.unwrap();
    database.release(fence).await.unwrap();
    let again = claim(database, "sync team", LONG).await.unwrap();
    assert!(again != fence && again != other);
    assert!(!database.renew(fence, LONG).await.unwrap());
    assert!(database.renew(again, LONG).await.unwrap());
    assert_eq!(claim(database, "sync team", LONG).await, None);
}

pub(crate) async fn a_claim_ends_with_its_lease(database: &dyn Database) {
    let dead = claim(database, "sync team", SHORT).await.unwrap();
    let kept = claim(database, "sync other", SHORT).await.unwrap();
    assert!(database.renew(kept, LONG).await.unwrap());
    let began = Instant::now();
    while claim(database, "sync team", LONG).await.is_none() {
        assert!(began.elapsed() < PATIENCE, "the lease never ends");
        sleep(SHORT / 5).await;
    }
    assert!(!database.renew(dead, LONG).await.unwrap());
    assert_eq!(claim(database, "sync other", LONG).await, None);
}

pub(crate) async fn what_is_written_under_a_lost_claim_is_refused(database: &dyn Database) {
    let fence = claim(database, "sync team", LONG).await.unwrap();
    let changes = |version: &str| Changes {
        seen: i64::MAX,
        fence: Some(fence),
        put: vec![put("team", "acme/lib", &[version])],
        publish: vec![publication("acme/lib", "team", version, "dev")],
        ..Changes::default()
    };
    database.apply(&changes("1.0"), Stamp(1_000)).await.unwrap();
    let record = records::empty("team");
    database
        .save_repository(&record, Some(fence))
        .await
        .unwrap();

    database.release(fence).await.unwrap();
    claim(database, "sync team", LONG).await.unwrap();
    let before = database.index().await.unwrap();
    let refused = database.apply(&changes("2.0"), Stamp(2_000)).await;
    assert!(matches!(refused, Err(DatabaseError::Fenced)), "{refused:?}");
    let refused = database
        .save_repository(&records::full("team"), Some(fence))
        .await;
    assert!(matches!(refused, Err(DatabaseError::Fenced)), "{refused:?}");
    let after = database.index().await.unwrap();
    assert_eq!(
        (after.held, after.published, after.revision),
        (before.held, before.published, before.revision)
    );
    assert_eq!(database.repositories().await.unwrap(), [record]);
}
