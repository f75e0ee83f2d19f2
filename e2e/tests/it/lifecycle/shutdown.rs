//! SIGTERM and SIGINT: what is in flight comes to its end, within the deadline.

use std::net::TcpStream;
use std::time::Duration;

use package_broker_e2e::http::{Begun, get};
use package_broker_e2e::process::Ending;
use serde_json::json;

use crate::support::gate::Gate;
use crate::support::registry::{Registry, manifests};
use crate::support::upstream::{Upstream, archive, archive_path};
use crate::support::{PATIENCE, eventually};

const PACKAGE: &str = "acme/lib";

/// More than the buffers of a connection take.
const LARGE: usize = 16 << 20;

fn status_of(registry: &Registry, probe: &str) -> u16 {
    let url = format!("{}{probe}", registry.broker.metrics_url());
    get(&url, &[]).unwrap().status
}

/// A registry that has a large archive, and a client in the middle of reading it.
fn with_slow_reader(
    upstream: &Upstream,
    zip: &[u8],
    arguments: &'static [&'static str],
) -> (Registry, Begun) {
    upstream.publish(PACKAGE, "1.0.0", zip, true);
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let registry = Registry::start_with(&all, arguments);
    registry.wait_until_ready();
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let slow = registry.call("all", "GET", &path).begin().unwrap();
    slow.wait_for_first_byte().unwrap();
    (registry, slow)
}

#[test]
fn what_is_in_flight_is_answered_whole() {
    let zip = archive(PACKAGE, "1.0.0", LARGE);
    for ending in [Ending::Terminate, Ending::Interrupt] {
        let upstream = Upstream::listed();
        upstream.release(PACKAGE, "2.0.0");
        let arguments = &["--shutdown-seconds", "60"];
        let (mut registry, slow) = with_slow_reader(&upstream, &zip, arguments);
        let gate = Gate::before(&upstream, &archive_path(PACKAGE, "2.0.0"));
        gate.shut();
        let path = registry.archive_of("all", PACKAGE, "2.0.0");
        let waiting = registry.call("all", "GET", &path).begin().unwrap();
        gate.wait_for(1);
        assert_eq!(status_of(&registry, "/readyz"), 200);

        registry.broker.ask_to_end(ending);
        eventually("a closed port", || {
            let call = registry.call("all", "GET", "/packages.json");
            call.send().is_err().then_some(())
        });
        assert_eq!(status_of(&registry, "/readyz"), 503, "{ending:?}");
        assert_eq!(status_of(&registry, "/livez"), 200, "{ending:?}");
        gate.open();
        let waiting = waiting.answer().unwrap();
        assert_eq!(waiting.status, 200, "{ending:?}: {}", waiting.text());
        assert!(waiting.body == archive(PACKAGE, "2.0.0", 0), "{ending:?}");
        let slow = slow.answer().unwrap();
        assert!(slow.body == zip, "{ending:?}: {} bytes", slow.body.len());
        let status = registry.broker.wait(PATIENCE).unwrap();
        assert_eq!(status.code(), Some(0), "{}", registry.broker.log());
        assert_eq!(registry.said(&["shutting down"]), 1);
    }
}

#[test]
fn what_does_not_end_is_cut_off_at_the_deadline() {
    let zip = archive(PACKAGE, "1.0.0", LARGE);
    let upstream = Upstream::listed();
    let arguments = &["--shutdown-seconds", "1"];
    let (mut registry, slow) = with_slow_reader(&upstream, &zip, arguments);
    registry.broker.ask_to_end(Ending::Terminate);
    let status = registry.broker.wait(PATIENCE).unwrap();
    assert_eq!(status.code(), Some(0), "{}", registry.broker.log());
    assert!(registry.said(&["cut off"]) > 0, "{}", registry.broker.log());
    assert!(slow.answer().is_err(), "its length was promised");
}

#[test]
fn nothing_waits_for_syncs_and_idle_clients() {
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    let gate = Gate::before(&upstream, "/");
    gate.shut();
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let arguments = &["--shutdown-seconds", "600"];
    let mut registry = Registry::start_with(&all, arguments);
    gate.wait_for(1);
    let address = registry.broker.url().strip_prefix("http://").unwrap();
    let idle = TcpStream::connect(address).unwrap();
    assert_eq!(registry.get("all", "/list.json").status, 200);
    registry.broker.ask_to_end(Ending::Interrupt);
    let status = registry.broker.wait(Duration::from_secs(30)).unwrap();
    assert_eq!(status.code(), Some(0), "{}", registry.broker.log());
    drop(idle);
    // What it had not read is read the next time.
    gate.open();
    registry.start_again();
    registry.wait_until_ready();
    assert_eq!(registry.document("all", PACKAGE).len(), 1);
}
