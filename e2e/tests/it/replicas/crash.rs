//! SIGKILL at drawn moments: of syncs, of migrations, and of one of two replicas.
//!
//! Moments are drawn from a seed, which a failing test prints; `CRASH_SEED` sets another.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use package_broker_e2e::broker::Broker;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::balancer::Balancer;
use super::installation::{Installation, report};
use super::serving::{URL, ask, ready, with_upstream};
use crate::crash::clients::{Acknowledged, Client, Reads, version_of};
use crate::crash::random::Random;
use crate::support::registry::expanded;
use crate::support::upstream::Upstream;
use crate::support::{eventually, json as json_of};

const SYNCS: usize = 28;
const REPLICAS: usize = 12;
const MIGRATIONS: usize = 10;

const PACKAGES: usize = 60;

fn name(number: usize) -> String {
    format!("acme/lib{number:02}")
}

#[test]
fn syncs_that_are_killed_leave_one_state_in_the_end() {
    let mut random = Random::from_environment();
    let installation = Installation::new();
    let upstream = Upstream::listed();
    let mut released: BTreeSet<(String, String)> = BTreeSet::new();
    let mut release = |number: usize, version: &str| {
        if released.insert((name(number), version.to_owned())) {
            upstream.release(&name(number), version);
        }
    };
    (0..PACKAGES).for_each(|number| release(number, "1.0.0"));
    installation.apply(&with_upstream(&upstream), URL);
    let began = Instant::now();
    installation.sync("team");
    let whole = u32::try_from(began.elapsed().as_micros()).unwrap();
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    replicas.iter().for_each(ready);

    let names: Vec<String> = (0..PACKAGES).map(name).collect();
    let over = AtomicBool::new(false);
    let mut seen: Vec<Acknowledged> = thread::scope(|scope| {
        let reading: Vec<_> = replicas
            .iter()
            .flat_map(|replica| [(replica, Reads::Documents), (replica, Reads::Archives)])
            .map(|(replica, reads)| {
                let client = Client::at(replica.url());
                let (names, over) = (&names, &over);
                scope.spawn(move || client.read_while(reads, names, over))
            })
            .collect();
        for round in 0..SYNCS {
            for _ in 0..10 {
                release(random.below(PACKAGES), &format!("1.{}.0", round + 1));
            }
            let moment = u64::try_from(random.below(whole as usize)).unwrap();
            let mut syncing = installation.spawn(&["sync", "team"]);
            thread::sleep(Duration::from_micros(moment));
            syncing.kill();
            installation.end_claims();
        }
        installation.sync("team");
        over.store(true, Ordering::SeqCst);
        reading
            .into_iter()
            .map(|reader| reader.join().unwrap())
            .collect()
    });
    // Both replicas told the same for the same date.
    let mut all = seen.pop().unwrap();
    for seen in seen {
        all.merge(seen);
    }
    assert!(all.versions.len() > PACKAGES / 2 && !all.archives.is_empty());
    for replica in &replicas {
        let told = eventually("everything that was released", || {
            let told = told_by(replica, &names);
            (told == released).then_some(told)
        });
        for (name, known) in &all.versions {
            for version in known {
                assert!(told.contains(&(name.clone(), version.clone())));
            }
        }
    }
    assert_eq!(installation.sync("team")["changed"], 0);
}

/// Every version that a replica lists, by package.
fn told_by(replica: &Broker, names: &[String]) -> BTreeSet<(String, String)> {
    let mut told = BTreeSet::new();
    for name in names {
        let document = json_of(&ask(replica, "all", &format!("/p2/{name}.json")));
        let versions = expanded(&document, name);
        told.extend(
            versions
                .iter()
                .map(|entry| (name.clone(), version_of(entry))),
        );
    }
    told
}

#[test]
fn the_claim_of_a_sync_that_was_killed_ends_by_itself() {
    let installation = Installation::without_redis();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    upstream.delay(Duration::from_secs(30));
    let mut syncing = installation.spawn(&["sync", "team"]);
    eventually("its claim", || {
        (installation.sql("SELECT count(*) FROM claims").trim() == "1").then_some(())
    });
    syncing.kill();
    upstream.delay(Duration::ZERO);
    let refused = installation.run(&["sync", "team"]);
    assert_eq!(refused.code(), 75, "{}", refused.stdout);
    eventually("the end of the claim", || {
        let finished = installation.run(&["sync", "team"]);
        (report(&finished)["result"] == "succeeded").then_some(())
    });
}

#[test]
fn migrations_that_are_killed_are_taken_up_again() {
    let mut random = Random::from_environment();
    let installation = Installation::without_redis();
    let began = Instant::now();
    let migrate = |installation: &Installation, database: &str| {
        let patch = json!({"database": {"url": database}});
        let settings = installation.settings("migrating", &patch);
        let settings = settings.to_str().unwrap().to_owned();
        ["migrate".to_owned(), "--config".to_owned(), settings]
    };
    installation.run(&["migrate"]);
    let whole = began.elapsed().as_micros();
    for _ in 0..MIGRATIONS {
        let database = installation.postgres.database().unwrap();
        let arguments = migrate(&installation, &database);
        let arguments: Vec<&std::ffi::OsStr> = arguments.iter().map(AsRef::as_ref).collect();
        let moment = random.below(usize::try_from(whole).unwrap() * 2);
        let mut migrating = package_broker_e2e::broker::spawn_package_broker(&arguments).unwrap();
        thread::sleep(Duration::from_micros(moment as u64));
        migrating.kill();
        let again = package_broker_e2e::broker::package_broker(&arguments).unwrap();
        assert_eq!(again.code(), 0, "{}", again.stderr);
        let tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'";
        let name = database
            .rsplit_once('/')
            .unwrap()
            .1
            .split('?')
            .next()
            .unwrap();
        let made = installation.postgres.sql(name, tables).unwrap();
        assert_eq!(made, installation.sql(tables));
    }
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[test]
fn composer_never_fails_while_one_of_two_replicas_is_killed() {
    let mut random = Random::from_environment();
    let installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/kit", "1.0.0");
    let ports = [free_port(), free_port()];
    let balancer = Balancer::start(&ports.map(|port| format!("127.0.0.1:{port}")));
    let all = Manifests::on_loopback().repository("team", "composer", &upstream.url(), &json!({}));
    installation.apply(&all, &balancer.url());
    installation.sync("team");
    let serve = |number: usize| -> Broker {
        let name = ["one", "two"][number];
        let listen = format!("127.0.0.1:{}", ports[number]);
        let replica = installation.serve_with(name, &json!({"listen": listen}));
        ready(&replica);
        replica
    };
    let mut replicas = [serve(0), serve(1)];
    let (over, installs) = (AtomicBool::new(false), AtomicUsize::new(0));
    let auth = installation.auth_json(Manifests::TOKEN);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..2)
            .map(|_| scope.spawn(|| install_again_and_again(&balancer, &auth, &over, &installs)))
            .collect();
        for round in 0..REPLICAS {
            let before = installs.load(Ordering::SeqCst);
            thread::sleep(Duration::from_micros(random.below(600_000) as u64));
            let which = random.below(2);
            replicas[which].kill();
            upstream.release("acme/lib", &format!("1.{}.0", round + 1));
            installation.sync("team");
            // Somebody installs while there is one.
            eventually("an install", || {
                let made = installs.load(Ordering::SeqCst) > before;
                (made || clients.iter().any(thread::ScopedJoinHandle::is_finished)).then_some(())
            });
            replicas[which] = serve(which);
        }
        over.store(true, Ordering::SeqCst);
        for client in clients {
            if let Err(failed) = client.join().unwrap() {
                panic!("{failed}\n{}", balancer.log());
            }
        }
    });
    assert!(installs.load(Ordering::SeqCst) >= REPLICAS);
}

/// Installs as a fresh checkout with an empty cache does, until it is over or fails.
fn install_again_and_again(
    balancer: &Balancer,
    auth: &std::path::Path,
    over: &AtomicBool,
    installs: &AtomicUsize,
) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let require = json!({"require": {"acme/lib": "^1.0", "acme/kit": "^1.0"}});
    let project = ComposerProject::create(
        ComposerVersion::Newest,
        folder.path(),
        &balancer.url(),
        &require,
    );
    let project = project.unwrap();
    project.authenticate(auth).unwrap();
    while !over.load(Ordering::SeqCst) {
        let updated = project.composer(&["update"]).unwrap();
        if !updated.status.success() {
            return Err(format!("{}\n{}", updated.stdout, updated.stderr));
        }
        installs.fetch_add(1, Ordering::SeqCst);
        project.remove_vendor().unwrap();
        project.remove_cache().unwrap();
    }
    Ok(())
}
