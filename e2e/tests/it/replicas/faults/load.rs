//! Clients that ask all the time, and note what they are told.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use package_broker_e2e::broker::Broker;
use package_broker_e2e::http::Answer;

use super::super::serving::ask;
use crate::support::{assert_problem, eventually};

/// The longest that any answer may take, whatever is away.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often each path was answered with each status.
pub(super) type Told = BTreeMap<(String, u16), usize>;

/// Asks each replica for each path, all the time while `work` goes on, and a few times before and after. An answer
/// with a status other than 200 and those in `allowed`, one that takes long, and a 503 that does not say when to come
/// back all fail the test.
pub(super) fn under_load<T>(
    replicas: &[Broker],
    paths: &[&str],
    allowed: &[u16],
    work: impl FnOnce() -> T,
) -> (T, Told) {
    let (over, told) = (AtomicBool::new(false), Mutex::new(Told::new()));
    let rounds: Vec<AtomicUsize> = replicas.iter().map(|_| AtomicUsize::new(0)).collect();
    let done = thread::scope(|scope| {
        let clients: Vec<_> = replicas
            .iter()
            .zip(&rounds)
            .map(|(replica, rounds)| {
                let (over, told) = (&over, &told);
                scope.spawn(move || {
                    while !over.load(Ordering::SeqCst) {
                        for path in paths {
                            let answer = asked(replica, path, allowed);
                            let key = ((*path).to_owned(), answer.status);
                            *told.lock().unwrap().entry(key).or_default() += 1;
                        }
                        rounds.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(5));
                    }
                })
            })
            .collect();
        let more = || {
            for rounds in &rounds {
                let goal = rounds.load(Ordering::SeqCst) + 3;
                eventually("more answers", || {
                    let failed = clients.iter().any(thread::ScopedJoinHandle::is_finished);
                    (failed || rounds.load(Ordering::SeqCst) >= goal).then_some(())
                });
            }
        };
        more();
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        if done.is_ok() {
            more();
        }
        over.store(true, Ordering::SeqCst);
        done
    });
    let done = done.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    (done, told.into_inner().unwrap())
}

fn asked(replica: &Broker, path: &str, allowed: &[u16]) -> Answer {
    let began = Instant::now();
    let answer = ask(replica, "all", path);
    let took = began.elapsed();
    assert!(took < PATIENCE, "{path} took {took:?}");
    let status = answer.status;
    assert!(
        status == 200 || allowed.contains(&status),
        "{path}: {status} {}\n{}",
        answer.text(),
        replica.log()
    );
    if status != 200 {
        assert_problem(&answer, status, path);
    }
    if status == 503 {
        assert!(answer.header("retry-after").is_some(), "{path}");
    }
    answer
}

/// How often a path was answered with a status.
pub(super) fn count(told: &Told, path: &str, status: u16) -> usize {
    told.get(&(path.to_owned(), status)).copied().unwrap_or(0)
}
