//! Redis stopped, restarted empty, and paused: nobody is told, and changes arrive all the same.

use package_broker_e2e::broker::Broker;

use super::super::installation::Installation;
use super::super::serving::{URL, ask, ready, with_upstream};
use super::load::under_load;
use crate::support::metrics::Metrics;
use crate::support::upstream::Upstream;
use crate::support::{eventually, json as json_of, versions};

/// Publishes a version, syncs it, and waits until every replica has it.
fn release(installation: &Installation, upstream: &Upstream, replicas: &[Broker], version: &str) {
    upstream.release("acme/lib", version);
    assert_eq!(installation.sync("team")["changed"], 1);
    for replica in replicas {
        eventually(version, || {
            let document = json_of(&ask(replica, "all", "/p2/acme/lib.json"));
            let newest = versions(&document, "acme/lib").first().cloned();
            (newest.as_deref() == Some(version)).then_some(())
        });
    }
}

/// Waits until every replica says so of its cache.
fn is_up(replicas: &[Broker], up: bool) {
    for replica in replicas {
        eventually(&format!("cache_up {up}"), || {
            ((Metrics::read_of(replica).gauge("cache_up") > 0.0) == up).then_some(())
        });
    }
}

#[test]
fn replicas_go_on_without_redis_and_find_it_again() {
    let mut installation = Installation::new();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let replicas = ["one", "two"].map(|name| installation.serve(name));
    replicas.iter().for_each(ready);
    let paths = [
        "/packages.json",
        "/p2/acme/lib.json",
        "/list.json",
        "/search.json?q=lib",
    ];
    under_load(&replicas, &paths, &[], || {
        is_up(&replicas, true);
        installation.redis.as_mut().unwrap().stop();
        is_up(&replicas, false);
        release(&installation, &upstream, &replicas, "1.1.0");
        installation.redis.as_mut().unwrap().restart_empty();
        release(&installation, &upstream, &replicas, "1.2.0");
        installation.redis.as_ref().unwrap().pause();
        release(&installation, &upstream, &replicas, "1.3.0");
        installation.redis.as_ref().unwrap().resume();
        release(&installation, &upstream, &replicas, "1.4.0");
        is_up(&replicas, true);
    });
}
