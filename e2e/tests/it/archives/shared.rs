//! One download, however many clients wait for it and whoever of them goes away.

use std::time::Duration;

use package_broker_e2e::http::{Answer, Delivery};

use super::{PACKAGE, registry_over, release_large};
use crate::support::gate::Gate;
use crate::support::metrics::Metrics;
use crate::support::registry::Registry;
use crate::support::upstream::{Upstream, archive, archive_path};
use crate::support::{assert_problem, eventually};

const CLIENTS: usize = 16;

/// Some hundred kilobytes take about a third of a second.
const SLOWLY: Delivery = Delivery::Paced(16 << 10, Duration::from_millis(12));

/// A cold archive that the upstream holds back.
struct Held {
    // Dropped before what it reads.
    registry: Registry,
    upstream: Upstream,
    gate: Gate,
    zip: Vec<u8>,
    /// Where it lies at the upstream, and at the registry.
    place: String,
    path: String,
}

impl Held {
    fn new() -> Self {
        let upstream = Upstream::listed();
        let zip = release_large(&upstream, "1.0.0");
        let place = archive_path(PACKAGE, "1.0.0");
        let gate = Gate::before(&upstream, &place);
        gate.shut();
        let registry = registry_over(&upstream);
        let path = registry.archive_of("all", PACKAGE, "1.0.0");
        Self {
            registry,
            upstream,
            gate,
            zip,
            place,
            path,
        }
    }
}

#[track_caller]
fn assert_whole(answer: &Answer, zip: &[u8]) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == zip, "other bytes than the upstream's");
}

#[test]
fn sixteen_clients_make_one_download() {
    let upstream = Upstream::listed();
    let zip = release_large(&upstream, "1.0.0");
    let place = archive_path(PACKAGE, "1.0.0");
    upstream.disturb(&place, |_, response| response.delivered(SLOWLY));
    let registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    for answer in registry.together(CLIENTS, "all", &path) {
        assert_whole(&answer, &zip);
    }
    assert_eq!(upstream.asked(&place), 1);
    assert_eq!(registry.get("all", &path).body.len(), zip.len());
    assert_eq!(upstream.asked(&place), 1, "it is stored");
    let metrics = Metrics::read(&registry);
    assert_eq!(metrics.of("archive_fetches_total"), 1);
    assert_eq!(metrics.of("archive_fetched_bytes_total"), zip.len());
    assert_eq!(registry.blobs().len(), 1);
}

/// Small archives are stored while some of the clients are still on their way.
#[test]
fn a_client_that_comes_just_as_it_is_stored_makes_no_second_download() {
    let upstream = Upstream::listed();
    let versions: Vec<String> = (0..12).map(|minor| format!("1.{minor}.0")).collect();
    for version in &versions {
        upstream.release_without_checksum(PACKAGE, version);
    }
    let registry = registry_over(&upstream);
    for version in &versions {
        let path = registry.archive_of("all", PACKAGE, version);
        for answer in registry.together(CLIENTS, "all", &path) {
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
        let asked = upstream.asked(&archive_path(PACKAGE, version));
        assert_eq!(asked, 1, "{version}");
    }
}

#[test]
fn sixteen_clients_of_a_broken_archive_are_all_told() {
    let Held {
        upstream,
        gate,
        registry,
        zip,
        place,
        path,
    } = Held::new();
    upstream.replace_archive(PACKAGE, "1.0.0", &zip[..zip.len() / 2]);
    let before = Metrics::read(&registry);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| registry.together(CLIENTS, "all", &path));
        gate.wait_for(1);
        gate.open();
        for answer in asking.join().unwrap() {
            assert_problem(&answer, 424, "a truncated archive");
        }
    });
    let defects = "archive_defects_total";
    let found = Metrics::read(&registry).of(defects) - before.of(defects);
    assert_eq!(found, upstream.asked(&place));
}

#[test]
fn a_client_that_goes_away_stops_nothing_for_others() {
    let Held {
        upstream,
        gate,
        registry,
        zip,
        place,
        path,
    } = Held::new();
    // The one for whom the download began, and one that joined it.
    let first = registry.call("all", "GET", &path).begin().unwrap();
    gate.wait_for(1);
    let second = registry.call("all", "GET", &path).begin().unwrap();
    let patient = registry.call("all", "GET", &path).begin().unwrap();
    drop((first, second));
    gate.open();
    let answer = patient.answer().unwrap();
    assert_whole(&answer, &zip);
    assert_eq!(upstream.asked(&place), 1);
}

#[test]
fn a_download_goes_on_when_everybody_has_gone() {
    let Held {
        upstream,
        gate,
        registry,
        zip,
        place,
        path,
    } = Held::new();
    let only = registry.call("all", "GET", &path).begin().unwrap();
    gate.wait_for(1);
    drop(only);
    gate.open();
    eventually("the stored archive", || registry.blobs().pop());
    upstream.fail("/", 500);
    let answer = registry.get("all", &path);
    assert_whole(&answer, &zip);
    assert_eq!(upstream.asked(&place), 1);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_stream_disturbs_nobody() {
    let upstream = Upstream::listed();
    let zip = archive(PACKAGE, "1.0.0", 8 << 20);
    upstream.publish(PACKAGE, "1.0.0", &zip, true);
    let registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    assert_eq!(registry.get("all", &path).status, 200);
    let stay = registry.call("all", "GET", &path).begin().unwrap();
    for _ in 0..8 {
        // More than the buffers of a connection take is still to come when it leaves.
        let leaving = registry.call("all", "GET", &path).begin().unwrap();
        leaving.wait_for_first_byte().unwrap();
    }
    let answer = stay.answer().unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.body == zip, "other bytes than the upstream's");
    assert!(registry.get("all", &path).body == zip);
}
