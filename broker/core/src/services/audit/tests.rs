//! From noted events to what a store is given, through its failures.

use std::sync::{Mutex as StdMutex, PoisonError};

use async_trait::async_trait;

use super::*;
use crate::ports::audit::{Filter, Position};

/// A store that remembers what it was asked, and fails when told to.
#[derive(Default)]
struct Store(StdMutex<State>);

#[derive(Default)]
struct State {
    records: Vec<Record>,
    batches: Vec<(i64, usize)>,
    failing: bool,
    /// Tells of failures of what it did.
    lying: bool,
    old: u64,
    expired_before: Vec<Timestamp>,
}

impl Store {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fail(&self, failing: bool) {
        self.state().failing = failing;
    }
}

fn away() -> DatabaseError {
    DatabaseError::Unavailable {
        action: "test",
        problem: "away".to_owned(),
    }
}

#[async_trait]
impl AuditStore for Store {
    async fn append_records(&self, batch: &Batch<'_>) -> Result<(), DatabaseError> {
        let mut state = self.state();
        if state.failing {
            return Err(away());
        }
        if state
            .batches
            .last()
            .is_none_or(|(last, _)| *last < batch.number)
        {
            state.batches.push((batch.number, batch.records.len()));
            state.records.extend_from_slice(batch.records);
        }
        if state.lying { Err(away()) } else { Ok(()) }
    }

    async fn expire_records(&self, before: Timestamp, limit: u32) -> Result<u64, DatabaseError> {
        let mut state = self.state();
        state.expired_before.push(before);
        let removed = state.old.min(u64::from(limit));
        state.old -= removed;
        Ok(removed)
    }

    async fn read_records(
        &self,
        _: &Filter,
        _: Option<Position>,
        _: u32,
    ) -> Result<Vec<(Position, Record)>, DatabaseError> {
        Ok(Vec::new())
    }
}

const POLICY: AuditPolicy = AuditPolicy {
    enabled: true,
    retention: Duration::from_hours(1),
};

fn service() -> (Arc<Store>, Arc<Telemetry>, Arc<AuditService>) {
    let (store, telemetry) = (Arc::new(Store::default()), Arc::new(Telemetry::default()));
    let service = AuditService::new(Arc::clone(&store) as _, Arc::clone(&telemetry));
    service.set_policy(POLICY);
    (store, telemetry, Arc::new(service))
}

fn note(service: &AuditService, package: &str) {
    service.note(&Event {
        subject: Some(package),
        ..Event::new(Actor::Token("ci"), Action::PackageRead)
    });
}

fn actions(store: &Store) -> Vec<Action> {
    store
        .state()
        .records
        .iter()
        .map(|record| record.action)
        .collect()
}

#[tokio::test]
async fn switching_off_and_on_shows_and_holds() {
    let (store, _, service) = service();
    service.set_policy(POLICY);
    note(&service, "a/b");
    let off = AuditPolicy {
        enabled: false,
        ..POLICY
    };
    service.set_policy(off);
    note(&service, "a/b");
    note(&service, "a/c");
    service.set_policy(POLICY);
    service.close().await.unwrap();
    note(&service, "a/d");
    service.flush().await.unwrap();
    let mut told = actions(&store);
    told.sort_by_key(|action| action.as_str());
    let (ended, started) = (Action::AuditEnded, Action::AuditStarted);
    // Of the same interval, and therefore with a count of two.
    assert_eq!(told, [ended, started, Action::PackageRead]);
    let counts: u64 = store
        .state()
        .records
        .iter()
        .map(|record| record.count)
        .sum();
    assert_eq!(counts, 5);
}

#[tokio::test]
async fn nothing_noted_writes_nothing() {
    let (store, telemetry, service) = service();
    service.flush().await.unwrap();
    assert_eq!(store.state().batches, [(1, 1)]);
    service.flush().await.unwrap();
    service.flush().await.unwrap();
    assert_eq!(store.state().batches, [(1, 1)]);
    assert_eq!(telemetry.audit_written.get(), 1);
}

#[tokio::test]
async fn much_is_written_in_batches() {
    let (store, _, service) = service();
    for number in 0..BATCH {
        note(&service, &format!("a/p{number}"));
    }
    service.flush().await.unwrap();
    assert_eq!(store.state().batches, [(1, BATCH), (2, 1)]);
    assert_eq!(service.waiting(), 0);
}

#[tokio::test]
async fn records_wait_for_a_store_that_fails_and_go_on_counting() {
    let (store, telemetry, service) = service();
    store.fail(true);
    note(&service, "a/b");
    assert!(service.flush().await.is_err());
    for _ in 0..3 {
        note(&service, "a/b");
        assert!(service.flush().await.is_err());
    }
    assert_eq!(
        (service.waiting(), telemetry.audit_write_failures.get()),
        (3, 4)
    );
    store.fail(false);
    service.flush().await.unwrap();
    let state = store.state();
    let counts: Vec<u64> = state.records.iter().map(|record| record.count).collect();
    assert_eq!(counts, [1, 1, 3]);
    assert_eq!(service.waiting(), 0);
}

#[tokio::test]
async fn what_was_stored_unknowingly_is_not_stored_twice() {
    let (store, _, service) = service();
    note(&service, "a/b");
    store.state().lying = true;
    assert!(service.flush().await.is_err());
    assert!(service.flush().await.is_err());
    store.state().lying = false;
    note(&service, "a/b");
    service.flush().await.unwrap();
    assert_eq!(store.state().batches, [(1, 2), (2, 1)]);
}

#[tokio::test]
async fn what_there_was_no_room_for_is_told_when_the_store_is_back() {
    let (store, telemetry, service) = service();
    store.fail(true);
    for number in 0..MAX_WAITING + 41 {
        note(&service, &format!("a/p{number}"));
    }
    assert!(service.flush().await.is_err());
    note(&service, "a/late");
    // The one that says that records are made has its place, too; that of what was lost is made when it can be written.
    assert_eq!(
        (telemetry.audit_lost.get(), service.waiting()),
        (43, MAX_WAITING)
    );
    store.fail(false);
    service.flush().await.unwrap();
    service.flush().await.unwrap();
    let state = store.state();
    let lost = state
        .records
        .iter()
        .filter(|record| record.action == Action::AuditLost);
    assert_eq!(lost.map(|record| record.count).sum::<u64>(), 43);
    let counted: u64 = state
        .records
        .iter()
        .filter(|r| r.action == Action::PackageRead)
        .map(|r| r.count)
        .sum();
    assert_eq!(counted, MAX_WAITING as u64 - 1);
    drop(state);
    assert_eq!(service.waiting(), 0);
}

#[tokio::test]
async fn many_changes_make_room_for_themselves() {
    let (store, telemetry, service) = service();
    for number in 0..MAX_WAITING * 2 {
        note(&service, &format!("a/p{number}"));
        service.make_room().await;
    }
    service.flush().await.unwrap();
    assert_eq!(telemetry.audit_lost.get(), 0);
    assert_eq!(store.state().records.len(), MAX_WAITING * 2 + 1);
}

/// Waits until something is so.
async fn until(what: &str, so: impl Fn() -> bool) {
    let wait = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), wait).await;
    assert!(ended.is_ok(), "never came: {what}");
}

/// A running service that does each thing at this pace.
fn running(pace: Pace) -> (Arc<Store>, Arc<AuditService>, tokio::task::JoinHandle<()>) {
    let (store, telemetry) = (Arc::new(Store::default()), Arc::new(Telemetry::default()));
    let mut service = AuditService::new(Arc::clone(&store) as _, telemetry);
    service.pace = pace;
    service.set_policy(POLICY);
    let service = Arc::new(service);
    let own = Arc::clone(&service);
    let task = tokio::spawn(async move { own.run().await });
    (store, service, task)
}

const NEVER: Duration = Duration::from_hours(1);

#[tokio::test]
async fn the_task_writes_in_time_also_after_failures() {
    let pace = Pace {
        flush: Duration::from_millis(10),
        expire: NEVER,
    };
    let (store, service, task) = running(pace);
    until("the first record", || actions(&store).len() == 1).await;
    store.fail(true);
    note(&service, "a/b");
    until("a failure", || {
        service.telemetry.audit_write_failures.get() > 1
    })
    .await;
    store.fail(false);
    until("the second record", || actions(&store).len() == 2).await;
    service.close().await.unwrap();
    task.await.unwrap();
}

#[tokio::test]
async fn much_is_not_waited_with_and_all_is_written_at_the_end() {
    let (store, service, task) = running(Pace {
        flush: NEVER,
        expire: NEVER,
    });
    for number in 0..MANY {
        note(&service, &format!("a/p{number}"));
    }
    until("the records", || actions(&store).len() > MANY).await;
    note(&service, "a/last");
    service.close().await.unwrap();
    task.await.unwrap();
    assert_eq!(actions(&store).len(), MANY + 3);
    assert_eq!(actions(&store).last(), Some(&Action::AuditEnded));
}

#[tokio::test]
async fn old_records_go_in_bounded_steps_and_a_new_retention_counts_at_once() {
    let looks = |store: &Store| store.state().expired_before.len();
    let (store, service, task) = running(Pace {
        flush: NEVER,
        expire: NEVER,
    });
    until("the first look", || looks(&store) > 0).await;
    store.state().old = 2_500;
    let shorter = AuditPolicy {
        retention: Duration::from_mins(1),
        ..POLICY
    };
    service.set_policy(shorter);
    until("the removal", || store.state().old == 0).await;
    let (first, last) = {
        let state = store.state();
        (
            state.expired_before[0],
            *state.expired_before.last().unwrap(),
        )
    };
    let later = last.duration_since(first).as_secs();
    assert!((3_500..3_600).contains(&later), "{later} s");
    service.close().await.unwrap();
    task.await.unwrap();

    let pace = Pace {
        flush: NEVER,
        expire: Duration::from_millis(5),
    };
    let (store, service, task) = running(pace);
    until("more looks", || looks(&store) > 3).await;
    service.close().await.unwrap();
    task.await.unwrap();
}
