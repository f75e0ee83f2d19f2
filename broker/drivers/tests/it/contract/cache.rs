//! The promises of `ports::cache`.

use std::time::Duration;

use package_broker_core::{
    domain::{names::PackageName, quota::Quota},
    ports::cache::{Cache, Change},
};
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    time::{Instant, sleep, timeout},
};

const HOUR: Duration = Duration::from_hours(1);
/// Longer than a word takes to come round on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn packages(number: usize) -> Change {
    Change::Packages(vec![
        PackageName::parse(&format!("acme/p{number}")).unwrap(),
    ])
}

async fn next(changes: &mut Receiver<Change>) -> Result<Change, RecvError> {
    timeout(PATIENCE, changes.recv())
        .await
        .expect("the change never came")
}

mod counting {
    use super::*;

    pub(crate) async fn events_are_counted_by_key(cache: &dyn Cache) {
        for expected in 1..=5 {
            assert_eq!(cache.count("a", HOUR).await.unwrap(), expected);
        }
        assert_eq!(cache.count("b", HOUR).await.unwrap(), 1);
        assert_eq!(cache.count("", HOUR).await.unwrap(), 1);
        assert_eq!(cache.count("a", HOUR).await.unwrap(), 6);
    }

    pub(crate) async fn a_window_ends_and_the_next_event_opens_another(cache: &dyn Cache) {
        let window = Duration::from_millis(40);
        assert_eq!(cache.count("a", window).await.unwrap(), 1);
        assert_eq!(cache.count("stays", HOUR).await.unwrap(), 1);
        sleep(window * 2).await;
        assert_eq!(cache.count("a", window).await.unwrap(), 1);
        assert_eq!(cache.count("stays", HOUR).await.unwrap(), 2);
    }

    pub(crate) async fn later_events_do_not_prolong_a_window(cache: &dyn Cache) {
        let window = Duration::from_millis(300);
        cache.count("a", window).await.unwrap();
        let started = Instant::now();
        while cache.count("a", window).await.unwrap() > 1 {
            assert!(started.elapsed() < PATIENCE, "the window never ends");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn none_of_many_events_at_once_is_lost(cache: &dyn Cache) {
        let counts = futures::future::join_all((0..400).map(|_| cache.count("a", HOUR))).await;
        let mut counts: Vec<u64> = counts.into_iter().map(Result::unwrap).collect();
        counts.sort_unstable();
        assert_eq!(counts, (1..=400).collect::<Vec<u64>>());
    }

    pub(crate) async fn many_keys_push_out_old_ones_not_new_ones(cache: &dyn Cache) {
        let filler = "k".repeat(200);
        for number in 0..20_000 {
            cache
                .count(&format!("{filler}{number}"), HOUR)
                .await
                .unwrap();
        }
        let newest = format!("{filler}19999");
        assert_eq!(cache.count(&newest, HOUR).await.unwrap(), 2);
    }
}

mod taking {
    use super::*;

    pub(crate) async fn a_bucket_is_emptied_one_by_one(cache: &dyn Cache) {
        let quota = Quota::per_hour(60);
        for remaining in (0..60).rev() {
            let taken = cache.take("a", quota).await.unwrap();
            assert!(taken.allowed);
            assert_eq!(taken.remaining, remaining);
            assert_eq!(taken.retry_after, Duration::ZERO);
            let full_after = Duration::from_mins(1) * (60 - remaining);
            assert!(taken.full_after <= full_after, "{taken:?}");
            assert!(taken.full_after + PATIENCE > full_after, "{taken:?}");
        }
        for _ in 0..3 {
            let refused = cache.take("a", quota).await.unwrap();
            assert!(!refused.allowed && refused.remaining == 0, "{refused:?}");
            assert!(refused.retry_after <= Duration::from_mins(1));
            assert!(refused.retry_after > Duration::from_secs(20), "{refused:?}");
            assert!(refused.full_after <= HOUR && refused.full_after + PATIENCE * 2 > HOUR);
        }
    }

    pub(crate) async fn keys_have_buckets_and_counters_of_their_own(cache: &dyn Cache) {
        let quota = Quota::per_hour(60);
        let long = "k".repeat(10_000);
        for key in ["a", "b", "", "#", "{a}", "a\0", &long] {
            assert_eq!(cache.take(key, quota).await.unwrap().remaining, 59, "{key}");
            assert_eq!(cache.count(key, HOUR).await.unwrap(), 1, "{key}");
            assert_eq!(cache.take(key, quota).await.unwrap().remaining, 58, "{key}");
        }
    }

    pub(crate) async fn who_waits_as_told_gets_one(cache: &dyn Cache) {
        let quota = Quota::per_hour(7_200);
        let mut last = cache.take("a", quota).await.unwrap();
        while last.allowed {
            let takers = (0..200).map(|_| cache.take("a", quota));
            let taken = futures::future::join_all(takers).await;
            last = taken.into_iter().next_back().unwrap().unwrap();
        }
        for _ in 0..3 {
            assert!(last.retry_after <= Duration::from_millis(500), "{last:?}");
            sleep(last.retry_after + Duration::from_millis(1)).await;
            assert!(cache.take("a", quota).await.unwrap().allowed);
            loop {
                last = cache.take("a", quota).await.unwrap();
                if !last.allowed {
                    break;
                }
            }
        }
    }

    pub(crate) async fn another_quota_finds_the_same_share_taken(cache: &dyn Cache) {
        for _ in 0..30 {
            cache.take("a", Quota::per_hour(60)).await.unwrap();
        }
        let taken = cache.take("a", Quota::per_hour(6_000)).await.unwrap();
        assert!((2_999..=3_100).contains(&taken.remaining), "{taken:?}");
        let taken = cache.take("a", Quota::per_hour(60)).await.unwrap();
        assert_eq!(taken.remaining, 28);
    }

    /// However many take at once, over whatever handles.
    pub(crate) async fn nobody_gets_more_than_there_is(handles: &[&dyn Cache]) {
        let quota = Quota::per_hour(100);
        let takers = (0..600).map(|number| handles[number % handles.len()].take("a", quota));
        let started = Instant::now();
        let taken = futures::future::join_all(takers).await;
        // What was refilled meanwhile.
        let refilled = started.elapsed().as_micros() / u128::from(quota.cost());
        let mut remaining: Vec<u32> = taken
            .into_iter()
            .map(Result::unwrap)
            .filter_map(|taken| taken.allowed.then_some(taken.remaining))
            .collect();
        let most = 100 + usize::try_from(refilled).unwrap();
        assert!(
            (100..=most).contains(&remaining.len()),
            "{}",
            remaining.len()
        );
        if refilled == 0 {
            remaining.sort_unstable();
            assert_eq!(remaining, (0..100).collect::<Vec<u32>>());
        }
    }

    pub(crate) async fn none_of_many_takers_at_once_gets_too_much(cache: &dyn Cache) {
        nobody_gets_more_than_there_is(&[cache]).await;
    }
}

mod word {
    use super::*;

    pub(crate) async fn a_change_reaches_every_receiver_in_order(cache: &dyn Cache) {
        let mut receivers = [cache.changes(), cache.changes()];
        let sent = [packages(1), Change::Everything, packages(2)];
        for change in &sent {
            cache.announce(change.clone()).await.unwrap();
        }
        for receiver in &mut receivers {
            for change in &sent {
                assert_eq!(next(receiver).await.as_ref(), Ok(change));
            }
        }
    }

    pub(crate) async fn a_receiver_hears_of_changes_from_then_on(cache: &dyn Cache) {
        cache.announce(packages(1)).await.unwrap();
        let mut earlier = cache.changes();
        cache.announce(packages(2)).await.unwrap();
        assert_eq!(next(&mut earlier).await, Ok(packages(2)));
    }

    pub(crate) async fn nobody_has_to_listen(cache: &dyn Cache) {
        cache.announce(Change::Everything).await.unwrap();
        drop(cache.changes());
        cache.announce(Change::Everything).await.unwrap();
    }

    pub(crate) async fn a_receiver_that_lags_learns_so(cache: &dyn Cache) {
        const SENT: usize = 5_000;
        let mut slow = cache.changes();
        for number in 0..SENT {
            cache.announce(packages(number)).await.unwrap();
        }
        let mut heard = 0;
        let missed = loop {
            match next(&mut slow).await {
                Ok(change) if heard == SENT - 1 => {
                    assert_eq!(change, packages(heard));
                    break 0;
                }
                Ok(change) => assert_eq!(change, packages(heard)),
                Err(RecvError::Lagged(missed)) => break missed,
                Err(RecvError::Closed) => panic!("the channel was closed"),
            }
            heard += 1;
        };
        let after = SENT.min(heard + usize::try_from(missed).unwrap());
        if missed > 0 {
            assert_eq!(
                next(&mut slow).await,
                Ok(packages(after)),
                "{missed} were missed"
            );
        }
    }
}

/// One test for each promise, which every cache keeps. `$open` makes a new one.
macro_rules! every_promise {
    ($open:expr) => {
        promises!(
            $open,
            counting::events_are_counted_by_key,
            counting::a_window_ends_and_the_next_event_opens_another,
            counting::later_events_do_not_prolong_a_window,
            counting::many_keys_push_out_old_ones_not_new_ones,
            counting::none_of_many_events_at_once_is_lost,
            taking::a_bucket_is_emptied_one_by_one,
            taking::another_quota_finds_the_same_share_taken,
            taking::keys_have_buckets_and_counters_of_their_own,
            taking::none_of_many_takers_at_once_gets_too_much,
            taking::who_waits_as_told_gets_one,
            word::a_change_reaches_every_receiver_in_order,
            word::a_receiver_hears_of_changes_from_then_on,
            word::a_receiver_that_lags_learns_so,
            word::nobody_has_to_listen,
        );
    };
}

mod postgres;
mod redis;
mod server;

mod memory {
    use package_broker_drivers::cache::memory::Memory;

    use super::{super::promises, *};

    const BOUND: usize = 128 << 10;

    every_promise!(Memory::new(BOUND));

    #[tokio::test]
    async fn its_bound_is_one_of_bytes() {
        let memory = Memory::new(BOUND);
        for length in [1, 10, 1_000, 60_000, 70_000] {
            for number in 0..500 {
                memory
                    .count(&format!("{}{number}", "k".repeat(length)), HOUR)
                    .await
                    .unwrap();
                assert!(memory.bytes() <= BOUND, "{} bytes", memory.bytes());
            }
        }
        assert_eq!(memory.count("after all that", HOUR).await.unwrap(), 1);
        assert_eq!(memory.count("after all that", HOUR).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn windows_that_ended_give_their_bytes_back() {
        let memory = Memory::new(1 << 20);
        for number in 0..1_000 {
            memory
                .count(&format!("old {number}"), Duration::from_millis(1))
                .await
                .unwrap();
        }
        sleep(Duration::from_millis(5)).await;
        for number in 0..1_000 {
            memory
                .count(&format!("new {}", number % 10), Duration::from_millis(1))
                .await
                .unwrap();
            sleep(Duration::from_micros(100)).await;
        }
        assert!(memory.bytes() < 100_000, "{} bytes", memory.bytes());
    }
}
