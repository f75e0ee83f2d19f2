//! A broker that is killed again and again while it syncs and serves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use package_broker_e2e::broker::Broker;
use serde_json::json;

use super::clients::{Acknowledged, Client, Reads};
use super::random::Random;
use crate::support::gate::Gate;
use crate::support::registry::{Registry, manifests};
use crate::support::sha1_of;
use crate::support::upstream::{Upstream, archive};

const PACKAGES: usize = 200;

/// Packages that get a new version in each round.
const CHANGES: usize = 20;

/// What clients read meanwhile.
const CLIENTS: [Reads; 3] = [Reads::Documents, Reads::Archives, Reads::Archives];

/// SHA-1 of every archive of the upstream, by package and version.
type Archives = BTreeMap<(String, String), String>;

/// A registry over one upstream, and what is known of both.
pub(super) struct Campaign {
    pub(super) registry: Registry,
    pub(super) upstream: Upstream,
    pub(super) gate: Gate,
    random: Random,
    pub(super) archives: Archives,
    /// What was answered before the last kill, and what before earlier ones.
    pub(super) recent: Acknowledged,
    pub(super) seen: Acknowledged,
    /// Syncs that a kill ended in the middle.
    pub(super) interrupted: usize,
    start_took: Duration,
}

fn names() -> Vec<String> {
    (0..PACKAGES).map(|n| format!("acme/lib{n:03}")).collect()
}

fn shuffled(random: &mut Random) -> Vec<String> {
    let mut names = names();
    for last in (1..names.len()).rev() {
        names.swap(last, random.below(last + 1));
    }
    names
}

/// Every tenth package has an archive that takes several writes.
fn release(upstream: &Upstream, archives: &mut Archives, name: &str, version: &str) {
    let padding = if name.ends_with('0') { 300_000 } else { 1000 };
    let zip = archive(name, version, padding);
    upstream.publish(
        name,
        version,
        &zip,
        name.ends_with(['1', '3', '5', '7', '9']),
    );
    archives.insert((name.to_owned(), version.to_owned()), sha1_of(&zip));
}

impl Campaign {
    /// Packages of one version each, and a broker that has read none of them.
    pub(super) fn start(random: Random) -> Self {
        let upstream = Upstream::listed();
        let gate = Gate::before(&upstream, "/");
        gate.shut();
        let mut archives = Archives::new();
        for name in names() {
            release(&upstream, &mut archives, &name, "1.0.0");
        }
        let all = manifests(&json!({"sync": {"packagesPerRepository": 8}}));
        let all = all.repository("team", "composer", &upstream.url(), &json!({}));
        let begun = Instant::now();
        let registry = Registry::start_unready(&all);
        Self {
            start_took: begun.elapsed(),
            registry,
            upstream,
            gate,
            random,
            archives,
            recent: Acknowledged::default(),
            seen: Acknowledged::default(),
            interrupted: 0,
        }
    }

    /// Lets the sync go on and clients read, until a drawn number of requests came to the
    /// upstream and a drawn time has passed; then kills the broker.
    pub(super) fn work_until_killed(&mut self, round: usize) {
        for _ in 0..CHANGES {
            let name = format!("acme/lib{:03}", self.random.below(PACKAGES));
            let version = format!("1.{}.0", round + 1);
            if !self.archives.contains_key(&(name.clone(), version.clone())) {
                release(&self.upstream, &mut self.archives, &name, &version);
            }
        }
        // A sync asks for two documents of each package.
        let requests = self.gate.arrived() + 1 + self.random.below(2 * PACKAGES);
        let pause = Duration::from_micros(self.random.below(15_000) as u64);
        let orders = CLIENTS.map(|reads| (reads, shuffled(&mut self.random)));
        let (client, killed) = (Client::of(&self.registry), AtomicBool::new(false));
        self.gate.open();
        let seen: Vec<Acknowledged> = thread::scope(|scope| {
            let (client, killed) = (&client, &killed);
            let reading: Vec<_> = orders
                .iter()
                .map(|(reads, names)| scope.spawn(|| client.read_until(*reads, names, killed)))
                .collect();
            self.gate.wait_for(requests);
            thread::sleep(pause);
            killed.store(true, Ordering::SeqCst);
            self.registry.broker.kill();
            reading
                .into_iter()
                .map(|reader| reader.join().unwrap())
                .collect()
        });
        self.gate.shut();
        self.interrupted += usize::from(self.registry.said(&["synced"]) == 0);
        for seen in seen {
            self.recent.merge(seen);
        }
    }

    /// Starts a broker and kills it before it has started.
    pub(super) fn kill_while_starting(&mut self) {
        let part = u32::try_from(self.random.below(100)).unwrap();
        let mut starting = Broker::spawn(&self.registry.file(), &self.registry.data()).unwrap();
        thread::sleep(self.start_took * part / 100);
        starting.kill();
    }

    /// Starts the broker, whose upstream answers nothing meanwhile, and looks at what was answered
    /// just before it was killed.
    pub(super) fn start_again(&mut self) {
        self.registry.start_again();
        assert_eq!(self.registry.staged().len(), 0, "half-written archives");
        self.check_blobs();
        let recent = std::mem::take(&mut self.recent);
        self.check(&recent);
        self.seen.merge(recent);
    }
}
