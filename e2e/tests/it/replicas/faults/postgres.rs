//! PostgreSQL stopped, paused, and failed over: memory is served for a stated time, then 503 until it is back.

use std::sync::Arc;

use package_broker_e2e::broker::Broker;
use package_broker_e2e::http::get;
use package_broker_e2e::postgres::Postgres;
use serde_json::json;

use super::super::gateway::{Gateway, Way};
use super::super::installation::Installation;
use super::super::serving::{URL, ask, ready, with_upstream};
use super::load::{count, under_load};
use crate::servers::redis::RedisServer;
use crate::support::metrics::Metrics;
use crate::support::registry::{archive_in, expanded, with_token};
use crate::support::upstream::Upstream;
use crate::support::{eventually, json as json_of};

const DOCUMENT: &str = "/p2/acme/lib.json";

/// Waits for an answer with that status.
fn until(replica: &Broker, token: &str, path: &str, status: u16) {
    eventually(&format!("{status} of {path}"), || {
        (ask(replica, token, path).status == status).then_some(())
    });
}

fn unready(replica: &Broker) {
    eventually("a replica that is not ready", || {
        let answer = get(&format!("{}/readyz", replica.metrics_url()), &[]).unwrap();
        (answer.status == 503).then_some(())
    });
}

/// How a database is away.
#[derive(Clone, Copy, Debug)]
enum Outage {
    /// The way to it is.
    Way(Way),
    /// Its administrator stopped it.
    Stopped,
    /// It is silent, with its connections open (SIGSTOP).
    Paused,
}

impl Outage {
    const ALL: [Self; 4] = [
        Self::Way(Way::Cut),
        Self::Way(Way::Blocked),
        Self::Stopped,
        Self::Paused,
    ];

    fn begin(self, installation: &Installation, gateway: &Gateway) {
        let postgres = &installation.postgres;
        match self {
            Self::Way(way) => gateway.set(way),
            Self::Stopped => postgres.stop().unwrap(),
            Self::Paused => postgres.pause().unwrap(),
        }
    }

    fn end(self, installation: &Installation, gateway: &Gateway) {
        let postgres = &installation.postgres;
        match self {
            Self::Way(_) => gateway.set(Way::Open),
            Self::Stopped => postgres.run().unwrap(),
            Self::Paused => postgres.resume().unwrap(),
        }
    }
}

/// An installation whose way to its database is a gateway.
fn installation() -> (Installation, Gateway) {
    let postgres = Arc::new(Postgres::start().unwrap());
    let gateway = Gateway::to(postgres.port());
    let mut installation = Installation::with(Some(RedisServer::start()), Arc::clone(&postgres));
    let (own, gate) = (postgres.port().to_string(), gateway.port().to_string());
    installation.database = installation.database.replace(&own, &gate);
    (installation, gateway)
}

#[test]
fn memory_is_served_for_a_time_then_503_until_the_database_is_back() {
    let (installation, gateway) = installation();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    let all = with_upstream(&upstream);
    let more = with_token(all.clone(), "second", &json!({}));
    installation.apply(&more, URL);
    installation.sync("team");
    let stale = json!({"database": {"staleSeconds": 3}});
    let replicas = ["one", "two"].map(|name| installation.serve_with(name, &stale));
    replicas.iter().for_each(ready);
    let document = json_of(&ask(&replicas[0], "all", DOCUMENT));
    let archive = archive_in(&expanded(&document, "acme/lib")[0]);
    for replica in &replicas {
        assert_eq!(ask(replica, "all", &archive).status, 200);
    }
    let paths = ["/packages.json", DOCUMENT, "/list.json", &archive];
    for outage in Outage::ALL {
        let ((), told) = under_load(&replicas, &paths, &[503], || {
            outage.begin(&installation, &gateway);
            for replica in &replicas {
                until(replica, "all", DOCUMENT, 503);
                unready(replica);
                let metrics = Metrics::read_of(replica);
                let (age, most) = ("memory_age_seconds", "memory_age_max_seconds");
                assert!(metrics.gauge(age) > metrics.gauge(most));
                assert_eq!(ask(replica, "second", DOCUMENT).status, 503);
                // Nobody can tell who asks, so nobody is told that it is not there.
                assert_eq!(ask(replica, "all", "/p2/acme/unknown.json").status, 503);
            }
            outage.end(&installation, &gateway);
            for replica in &replicas {
                until(replica, "all", DOCUMENT, 200);
                ready(replica);
            }
        });
        let both = count(&told, DOCUMENT, 200) > 0 && count(&told, DOCUMENT, 503) > 0;
        assert!(both, "{outage:?}: {told:?}");
    }
    // What is withdrawn while a replica cannot know is withdrawn there when it can.
    gateway.set(Way::Cut);
    let direct = installation.database.clone();
    let mut around = installation;
    around.database = direct.replace(
        &gateway.port().to_string(),
        &around.postgres.port().to_string(),
    );
    around.apply(&all, URL);
    for replica in &replicas {
        until(replica, "second", DOCUMENT, 503);
    }
    gateway.set(Way::Open);
    for replica in &replicas {
        until(replica, "second", DOCUMENT, 401);
        until(replica, "all", DOCUMENT, 200);
    }
}

#[test]
fn a_server_that_took_over_on_another_port_is_found() {
    let (installation, gateway) = installation();
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    installation.apply(&with_upstream(&upstream), URL);
    installation.sync("team");
    let stale = json!({"database": {"staleSeconds": 60}});
    let replicas = ["one", "two"].map(|name| installation.serve_with(name, &stale));
    replicas.iter().for_each(ready);
    let other = under_load(&replicas, &["/packages.json", DOCUMENT], &[503], || {
        installation.postgres.stop().unwrap();
        let other = installation.postgres.copy().unwrap();
        gateway.lead_to(other.port());
        upstream.release("acme/lib", "1.1.0");
        assert_eq!(installation.sync("team")["changed"], 1);
        for replica in &replicas {
            eventually("the new version", || {
                let document = json_of(&ask(replica, "all", DOCUMENT));
                let newest = expanded(&document, "acme/lib");
                (newest.len() == 2).then_some(())
            });
        }
        other
    });
    drop(other);
}
