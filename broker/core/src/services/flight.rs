//! One piece of work, however many wait for it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::runtime::Handle;
use tracing::Instrument;

/// Runs at most one task per key at a time. The task goes on when those who wait go away, also if the event loop they
/// wait on ends: all tasks run on one runtime of their own choice.
pub struct Flights<K, V: Clone> {
    running: Arc<Mutex<Running<K, V>>>,
    runtime: Handle,
}

type Running<K, V> = HashMap<K, Shared<BoxFuture<'static, Option<V>>>>;

impl<K, V> Flights<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// No work yet. What is to come runs on `runtime`.
    pub fn on(runtime: Handle) -> Self {
        Self {
            running: Arc::default(),
            runtime,
        }
    }

    /// Joins the work under `key`, or starts `work` if none is running. `None` if the work panicked or the program
    /// is shutting down.
    pub async fn join(&self, key: K, work: impl FnOnce() -> BoxFuture<'static, V>) -> Option<V> {
        let shared = {
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(shared) = running.get(&key) {
                shared.clone()
            } else {
                let shared = self.start(key.clone(), work());
                running.insert(key, shared.clone());
                shared
            }
        };
        shared.await
    }

    fn start(&self, key: K, work: BoxFuture<'static, V>) -> Shared<BoxFuture<'static, Option<V>>> {
        let running = Arc::clone(&self.running);
        let done = Landed { running, key };
        // Whoever came first is the one whose trace shows it.
        let task = async move {
            let _done = done;
            work.await
        };
        let task = self.runtime.spawn(task.in_current_span());
        async move { task.await.ok() }.boxed().shared()
    }
}

/// Takes the flight off the list when its task ends, also by a panic.
struct Landed<K: Eq + Hash, V: Clone> {
    running: Arc<Mutex<Running<K, V>>>,
    key: K,
}

impl<K: Eq + Hash, V: Clone> Drop for Landed<K, V> {
    fn drop(&mut self) {
        self.running
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn sixteen_wait_for_one() {
        let flights: Arc<Flights<u32, u32>> = Arc::new(Flights::on(Handle::current()));
        let runs = Arc::new(AtomicU32::new(0));
        let waiting = (0..16).map(|_| {
            let (flights, runs) = (Arc::clone(&flights), Arc::clone(&runs));
            tokio::spawn(async move {
                let work = move || {
                    async move {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                        runs.fetch_add(1, Ordering::SeqCst) + 1
                    }
                    .boxed()
                };
                flights.join(7, work).await
            })
        });
        for answer in futures::future::join_all(waiting).await {
            assert_eq!(answer.unwrap(), Some(1));
        }
        assert_eq!(flights.join(7, || async { 9 }.boxed()).await, Some(9));
    }

    #[tokio::test]
    async fn the_work_goes_on_when_the_first_asker_leaves() {
        let flights: Arc<Flights<u32, u32>> = Arc::new(Flights::on(Handle::current()));
        let work = || {
            async {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                1
            }
            .boxed()
        };
        let first =
            tokio::time::timeout(std::time::Duration::from_millis(5), flights.join(7, work)).await;
        assert!(first.is_err());
        assert_eq!(flights.join(7, || async { 2 }.boxed()).await, Some(1));
    }

    #[tokio::test]
    async fn a_panic_ends_the_flight() {
        let flights: Flights<u32, u32> = Flights::on(Handle::current());
        assert_eq!(
            flights.join(7, || async { panic!("test") }.boxed()).await,
            None
        );
        assert_eq!(flights.join(7, || async { 3 }.boxed()).await, Some(3));
    }
}
