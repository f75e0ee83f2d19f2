//! When an object is looked at again that is not as it should be.

use std::time::Duration;

use kube::{runtime::controller::Action, runtime::reflector::Lookup};

use super::remembered::Remembered;

/// The first wait after a failure; it doubles with each further one.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait.
const LONGEST: Duration = Duration::from_mins(15);
/// Between two looks at what is as it should be, but may stop being so without a word.
const WATCH: Duration = Duration::from_secs(15);
/// Between two looks at what is on its way and tells nobody when it is there.
const POLL: Duration = Duration::from_secs(2);

/// Objects whose failures are remembered, at most; when there are so many, all begin anew.
const MOST: usize = 50_000;

/// Failures in a row, by object.
#[derive(Debug, Default)]
pub(crate) struct Backoffs {
    failures: Remembered<String, u32, MOST>,
}

impl Backoffs {
    /// After a failure.
    pub(crate) fn failed<K: Lookup<DynamicType = ()>>(&self, object: &K) -> Action {
        Action::requeue(self.next(&K::kind(&()), object))
    }

    /// How long to wait for somebody else, who will say when it is time; in case that is not all that is waited for. Longer
    /// than after a failure: there may be thousands that wait.
    pub(crate) fn waiting<K: Lookup<DynamicType = ()>>(&self, object: &K) -> Duration {
        self.next(&K::kind(&()), object)
            .saturating_mul(8)
            .min(LONGEST)
    }

    /// After a failure in one of several works on objects of a kind.
    pub(crate) fn failed_at<K: Lookup<DynamicType = ()>>(&self, work: &str, object: &K) -> Action {
        Action::requeue(self.next(work, object))
    }

    /// How long to wait after one more failure.
    fn next<K: Lookup<DynamicType = ()>>(&self, work: &str, object: &K) -> Duration {
        let mut failures = self.failures.with_room();
        let count = failures.entry(key(work, object)).or_default();
        *count += 1;
        jittered(wait(*count))
    }

    /// After a look that found all well, or nothing that time could cure: a change brings the next one.
    pub(crate) fn settled<K: Lookup<DynamicType = ()>>(&self, object: &K) -> Action {
        self.forget(object);
        Action::await_change()
    }

    /// After a look at something that is on its way.
    pub(crate) fn poll<K: Lookup<DynamicType = ()>>(&self, object: &K) -> Action {
        self.forget(object);
        Action::requeue(POLL)
    }

    /// After a look at something that is well, and does not say so by itself when it is no longer.
    pub(crate) fn watch<K: Lookup<DynamicType = ()>>(&self, object: &K) -> Action {
        self.forget(object);
        Action::requeue(jittered(WATCH))
    }

    /// After a success of one of several works on objects of a kind.
    pub(crate) fn succeeded_at<K: Lookup<DynamicType = ()>>(&self, work: &str, object: &K) {
        self.failures.forget(&key(work, object));
    }

    fn forget<K: Lookup<DynamicType = ()>>(&self, object: &K) {
        self.failures.forget(&key(&K::kind(&()), object));
    }
}

fn key<K: Lookup<DynamicType = ()>>(work: &str, object: &K) -> String {
    let namespace = object.namespace().unwrap_or_default();
    let name = object.name().unwrap_or_default();
    // Objects of several kinds often have one name.
    format!("{work}/{namespace}/{name}")
}

fn wait(failures: u32) -> Duration {
    FIRST
        .saturating_mul(1 << failures.saturating_sub(1).min(10))
        .min(LONGEST)
}

/// Between half and all of it: those that failed together do not try again together.
fn jittered(wait: Duration) -> Duration {
    let mut random = [0u8; 2];
    // Without random numbers there is no jitter; nothing else depends on it.
    let _ = getrandom::fill(&mut random);
    let share = f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX);
    wait.mul_f64(0.5 + share / 2.0)
}

#[cfg(test)]
mod tests {
    use package_broker_crds::{AccessToken, Repository};

    use super::*;

    fn failures<K: Lookup<DynamicType = ()>>(backoffs: &Backoffs, object: &K) -> Option<u32> {
        backoffs.failures.get(&key(&K::kind(&()), object))
    }

    #[test]
    fn objects_of_one_name_fail_each_for_itself() {
        let json = |kind: &str| {
            let (api, spec) = (
                "package.broker/v1alpha1",
                serde_json::json!({"brokerRef": {"name": "b"}, "type": "git", "url": "x"}),
            );
            serde_json::json!({"apiVersion": api, "kind": kind, "metadata": {"name": "a", "namespace": "n"}, "spec": spec})
        };
        let repository: Repository = serde_json::from_value(json("Repository")).unwrap();
        let token: AccessToken = serde_json::from_value(json("AccessToken")).unwrap();
        let backoffs = Backoffs::default();
        backoffs.failed(&repository);
        backoffs.failed(&repository);
        backoffs.failed(&token);
        assert_eq!(failures(&backoffs, &repository), Some(2));
        assert_eq!(failures(&backoffs, &token), Some(1));
        backoffs.settled(&repository);
        assert_eq!(failures(&backoffs, &repository), None);
        assert_eq!(failures(&backoffs, &token), Some(1));
    }

    #[test]
    fn waits_double_up_to_their_bound() {
        let waits = [1, 2, 3, 40].map(wait).map(|wait| wait.as_secs());
        assert_eq!(waits, [1, 2, 4, 900]);
    }
}
