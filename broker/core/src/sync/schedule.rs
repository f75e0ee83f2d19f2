//! When each repository is synced: at the start, after its settings changed, then as its cadence says.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{SyncService, gate::Gate};
use crate::domain::{
    cadence::{Cadence, Outcome},
    installation::{Installation, Limits},
    names::RepositoryName,
    repository::Repository,
};

/// How long to wait before the clock is asked again. Timers do not notice when it is set, nor the sleep of a machine.
const LOOK: Duration = Duration::from_mins(1);

/// Runs syncs until told to stop.
pub struct Scheduler {
    syncs: Arc<SyncService>,
    slots: Arc<Gate>,
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
            slots: Gate::new(Limits::default().max_concurrent),
            stop,
            running: Mutex::default(),
        }
    }

    /// Makes the running syncs those of an installation, so many at once as it says. Repositories whose settings stand go
    /// on undisturbed; with `anew`, because how sources are reached has changed, all of them are synced now. Suspended
    /// ones are not synced.
    pub fn install(&self, installation: &Installation, anew: bool) {
        self.slots.set(installation.limits().max_concurrent);
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
            let keeper = Keeper {
                syncs: Arc::clone(&self.syncs),
                slots: Arc::clone(&self.slots),
                repository: Arc::clone(repository),
                now: Arc::clone(&task.now),
            };
            // Ending a sync in the middle is safe: what it stored stands.
            let stop = task.stop.clone();
            running.tasks.spawn(async move {
                let _ = stop.run_until_cancelled(keeper.run()).await;
            });
            running.by_name.insert(repository.name.clone(), task);
        }
        while running.tasks.try_join_next().is_some() {}
    }

    /// Syncs a repository as soon as there is room, not only when its time has come; once more, if a sync of it is
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

/// Syncs a repository whenever it is time.
struct Keeper {
    syncs: Arc<SyncService>,
    slots: Arc<Gate>,
    repository: Arc<Repository>,
    now: Arc<Notify>,
}

impl Keeper {
    async fn run(self) {
        let mut failures = 0;
        loop {
            let result = {
                let _slot = self.slots.enter().await;
                self.syncs.sync(&self.repository).await
            };
            let outcome = match &result {
                Ok(_) => {
                    failures = 0;
                    Outcome::Succeeded
                }
                Err(error) => {
                    failures += 1;
                    Outcome::Failed {
                        in_a_row: failures,
                        lasting: error.is_lasting(),
                        retry_after: error.retry_after(),
                    }
                }
            };
            // Either way, it is time.
            tokio::select! {
                () = self.pause(outcome) => {}
                () = self.now.notified() => {}
            }
        }
    }

    /// Waits until it is time after a sync that has just ended so.
    async fn pause(&self, outcome: Outcome) {
        let Repository { name, cadence, .. } = self.repository.as_ref();
        let ended = Timestamp::now();
        let due = cadence.next(name, ended, outcome);
        match cadence {
            // A length of time, whatever becomes of the clock.
            Cadence::Every(_) => tokio::time::sleep(until(due, ended)).await,
            Cadence::At(_) => loop {
                let left = until(due, Timestamp::now());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(LOOK)).await;
            },
        }
    }
}

/// How much later one time is than another; nothing if it is not.
fn until(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(time.duration_since(now)).unwrap_or_default()
}
