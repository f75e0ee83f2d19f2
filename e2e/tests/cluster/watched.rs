//! What happens to objects, as a watch tells it: nothing that comes and goes between two looks is missed.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use package_broker_e2e::process::{ChildGroup, values_of};
use serde_json::Value;

use super::support::Team;

/// A watch that goes on until this is dropped.
pub(crate) struct Watched {
    seen: Arc<Mutex<Vec<Value>>>,
    _kubectl: ChildGroup,
}

impl Watched {
    /// Watches objects of a kind in a namespace, those that are there already included.
    pub(crate) fn begin(team: &Team, kind: &str) -> Self {
        let watch = [
            "get",
            kind,
            "--watch",
            "--output-watch-events",
            "--output=json",
        ];
        let (kubectl, events) = values_of("kubectl get --watch", team.command(&watch)).unwrap();
        let seen = Arc::<Mutex<Vec<Value>>>::default();
        let noted = Arc::clone(&seen);
        thread::spawn(move || {
            for event in events.map_while(Result::ok) {
                let mut all = noted.lock().unwrap_or_else(PoisonError::into_inner);
                all.push(event);
            }
        });
        Self {
            seen,
            _kubectl: kubectl,
        }
    }

    /// All events so far: `type` is `ADDED`, `MODIFIED` or `DELETED`, and `object` is as it was then.
    pub(crate) fn events(&self) -> Vec<Value> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }
}
