//! Looks at every version of every object of our kinds for as long as a suite runs: what the rules of kstatus say of all of
//! them holds also between two looks of a test.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use package_broker_e2e::process::values_of;
use serde_json::Value;

use super::kstatus;

/// The kinds, as the API server calls them.
const KINDS: [&str; 3] = ["packagebrokers", "repositories", "accesstokens"];
/// How long it may take until a version is told of.
const LIMIT: Duration = Duration::from_secs(30);
/// Before a watch that ended is begun again.
const PAUSE: Duration = Duration::from_millis(200);

/// What was seen so far.
#[derive(Default)]
pub(crate) struct Observer(Mutex<Seen>);

impl Observer {
    /// Begins to watch, with the `kubectl` that this gives.
    pub(crate) fn begin(&'static self, kubectl: impl Fn() -> Command + Copy + Send + 'static) {
        for kind in KINDS {
            thread::spawn(move || self.follow(kind, kubectl));
        }
    }

    /// Watches a kind. A watch that ends, as they all do after a while, goes on from where it was.
    fn follow(&self, kind: &'static str, kubectl: impl Fn() -> Command) {
        loop {
            let since = self.since(kind);
            let mut command = kubectl();
            let version = since.map_or(String::new(), |since| format!("&resourceVersion={since}"));
            command.args(["get", "--raw"]).arg(format!(
                "/apis/package.broker/v1alpha1/{kind}?watch=1{version}"
            ));
            // What went wrong is told by what was not seen.
            let _ = self.read(kind, command);
            thread::sleep(PAUSE);
        }
    }

    fn read(&self, kind: &'static str, command: Command) -> Result<()> {
        let (_kubectl, events) = values_of("kubectl", command)?;
        for event in events {
            self.take(kind, &event?);
        }
        Ok(())
    }

    /// Takes what the watch of a kind tells.
    pub(crate) fn take(&self, kind: &'static str, event: &Value) {
        self.lock().take(kind, event);
    }

    /// How far the watch of a kind has come.
    pub(crate) fn since(&self, kind: &str) -> Option<u64> {
        self.lock().kinds.get(kind)?.version
    }

    /// Whether this version of an object was looked at, or one after it.
    pub(crate) fn has_seen(&self, object: &Value) -> bool {
        let seen = self.lock();
        let uid = uid(object).unwrap_or_default();
        let mut kinds = seen.kinds.values();
        let last = kinds.find_map(|kind| kind.objects.get(uid));
        last.is_some_and(|last| version(last) >= version(object))
    }

    /// What was wrong with objects of a namespace, each said once.
    pub(crate) fn faults_in(&self, namespace: &str) -> Vec<String> {
        let mut seen = self.lock();
        let faults = std::mem::take(&mut seen.faults);
        let is_asked_for = |of: &String| of == namespace || seen.ended.contains(of);
        let (asked_for, others): (Vec<_>, Vec<_>) =
            faults.into_iter().partition(|(of, _)| is_asked_for(of));
        seen.faults = others;
        let told = asked_for.into_iter();
        told.map(|(of, fault)| format!("in {of}, {fault}"))
            .collect()
    }

    /// A namespace that its test is done with: what goes wrong in it from now on, whoever asks next is told.
    pub(crate) fn leave(&self, namespace: &str) {
        self.lock().ended.insert(namespace.to_owned());
    }

    /// What happens in a namespace from now on is wrong on purpose.
    pub(crate) fn ignore(&self, namespace: &str) {
        self.lock().ignored.insert(namespace.to_owned());
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Default)]
struct Seen {
    kinds: BTreeMap<&'static str, Watched>,
    /// A namespace, and what was wrong in it.
    faults: Vec<(String, String)>,
    ended: BTreeSet<String>,
    ignored: BTreeSet<String>,
}

/// What was seen of a kind.
#[derive(Default)]
struct Watched {
    /// How far its watch has come.
    version: Option<u64>,
    /// The last version of each object, by its uid.
    objects: BTreeMap<String, Value>,
}

impl Seen {
    fn take(&mut self, kind: &'static str, event: &Value) {
        if event["type"] == "ERROR" {
            // Too far back: what came between is lost, and nothing can be said of what follows on what.
            self.kinds.remove(kind);
            return;
        }
        let object = &event["object"];
        let Some(uid) = uid(object) else { return };
        let watched = self.kinds.entry(kind).or_default();
        watched.version = version(object);
        let before = watched.objects.insert(uid.to_owned(), object.clone());
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if !self.ignored.contains(namespace) {
            let faults = kstatus::faults_of_version(object, before.as_ref()).into_iter();
            self.faults
                .extend(faults.map(|fault| (namespace.to_owned(), fault)));
        }
    }
}

fn uid(object: &Value) -> Option<&str> {
    object["metadata"]["uid"].as_str()
}

/// Of objects of one kind these are numbers that grow.
fn version(object: &Value) -> Option<u64> {
    object["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

/// Fails with what was wrong in a namespace, once the last version of each of these objects was looked at.
pub(crate) fn check(observer: &Observer, namespace: &str, objects: &[Value]) -> Result<()> {
    let deadline = Instant::now() + LIMIT;
    while let Some(object) = objects.iter().find(|object| !observer.has_seen(object)) {
        ensure!(
            Instant::now() < deadline,
            "the watch did not tell of {object}"
        );
        thread::sleep(Duration::from_millis(20));
    }
    let faults = observer.faults_in(namespace);
    ensure!(
        faults.is_empty(),
        "versions that break rules of kstatus:\n{}",
        faults.join("\n")
    );
    Ok(())
}
