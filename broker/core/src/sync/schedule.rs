//! When each repository is synced: at the start, after its settings changed, then at its interval.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use super::SyncService;
use crate::domain::{installation::Installation, names::RepositoryName, repository::Repository};

/// Syncs that run at once.
const MAX_SYNCS: usize = 4;
/// The first wait after a failure; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// The longest wait after a failure.
const LONGEST_RETRY: Duration = Duration::from_mins(15);

/// The longest wait because a source asks for it.
const LONGEST_PAUSE: Duration = Duration::from_hours(1);

/// Runs syncs until told to stop.
pub struct Scheduler {
    syncs: Arc<SyncService>,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    by_name: HashMap<RepositoryName, Task>,
    tasks: JoinSet<()>,
}

/// What keeps one repository synced.
struct Task {
    repository: Arc<Repository>,
    stop: CancellationToken,
    now: Arc<Notify>,
}

impl Scheduler {
    /// A scheduler that runs nothing yet and ends when `stop` is cancelled.
    pub fn new(syncs: Arc<SyncService>, stop: CancellationToken) -> Self {
        Self {
            syncs,
            slots: Arc::new(Semaphore::new(MAX_SYNCS)),
            stop,
            running: Mutex::default(),
        }
    }

    /// Makes the running syncs those of an installation. Repositories whose settings stand go on undisturbed; with
    /// `anew`, because how sources are reached has changed, all of them are synced now. Suspended ones are not synced.
    pub fn install(&self, installation: &Installation, anew: bool) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.by_name.retain(|name, task| {
            let stays = !anew
                && installation
                    .repository(name)
                    .is_some_and(|now| Arc::ptr_eq(now, &task.repository));
            if !stays {
                task.stop.cancel();
                self.syncs.forget_attempt(name);
            }
            stays
        });
        for repository in installation.repositories() {
            if repository.suspended || running.by_name.contains_key(&repository.name) {
                continue;
            }
            let task = Task {
                repository: Arc::clone(repository),
                stop: self.stop.child_token(),
                now: Arc::default(),
            };
            running.tasks.spawn(keep_synced(
                Arc::clone(&self.syncs),
                Arc::clone(&self.slots),
                Arc::clone(repository),
                task.stop.clone(),
                Arc::clone(&task.now),
            ));
            running.by_name.insert(repository.name.clone(), task);
        }
        while running.tasks.try_join_next().is_some() {}
    }

    /// Syncs a repository as soon as there is room, not only when its interval has passed; once more, if a sync of it is
    /// running.
    pub fn sync_now(&self, name: &RepositoryName) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = running.by_name.get(name) {
            task.now.notify_one();
        }
    }

    /// Waits until every sync has ended, after `stop` was cancelled.
    pub async fn ended(&self) {
        let mut tasks = std::mem::take(
            &mut self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .tasks,
        );
        while tasks.join_next().await.is_some() {}
    }
}

async fn keep_synced(
    syncs: Arc<SyncService>,
    slots: Arc<Semaphore>,
    repository: Arc<Repository>,
    stop: CancellationToken,
    now: Arc<Notify>,
) {
    let mut failures = 0;
    loop {
        let sync = async {
            let _slot = slots.acquire().await;
            syncs.sync(&repository).await
        };
        // Ending a sync in the middle is safe: what it stored stands.
        let Some(result) = stop.run_until_cancelled(sync).await else {
            return;
        };
        let pause = match &result {
            Ok(_) => {
                failures = 0;
                repository.interval
            }
            Err(error) => {
                failures += 1;
                let backoff = if error.is_lasting() {
                    LONGEST_RETRY
                } else {
                    backoff(failures)
                };
                backoff
                    .min(repository.interval)
                    .max(error.retry_after().unwrap_or_default().min(LONGEST_PAUSE))
            }
        };
        // Either way, it is time.
        let pause = tokio::time::timeout(jittered(pause), now.notified());
        if stop.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

fn backoff(failures: u32) -> Duration {
    FIRST_RETRY
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST_RETRY)
}

/// Up to a tenth longer, so that many repositories of one host do not ask together.
fn jittered(pause: Duration) -> Duration {
    let mut random = [0u8; 2];
    // Without random numbers there is no jitter; nothing else depends on it.
    let _ = getrandom::fill(&mut random);
    let part = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX) / 10.0;
    pause.saturating_add(pause.mul_f64(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_its_bound() {
        assert_eq!(backoff(1), Duration::from_secs(5));
        assert_eq!(backoff(3), Duration::from_secs(20));
        assert_eq!(backoff(40), LONGEST_RETRY);
    }

    #[test]
    fn jitter_only_lengthens_a_little() {
        let pause = jittered(Duration::from_secs(100));
        assert!((Duration::from_secs(100)..=Duration::from_secs(110)).contains(&pause));
    }
}
