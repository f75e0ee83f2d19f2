//! What an upstream delivers in place of the archive it promised is never stored nor served.

use package_broker_e2e::http::{Answer, Delivery, Response};
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::PACKAGE;
use crate::support::metrics::Metrics;
use crate::support::registry::{Registry, manifests};
use crate::support::upstream::{Upstream, archive, archive_path};
use crate::support::{assert_problem, eventually};

/// The bound of these tests; archives here are smaller as a rule.
const LIMIT: usize = 64 << 10;

/// What arrives in place of the archive, given the right answer.
type Delivered = fn(Response) -> Response;

/// What a client is told: status, and words of the warning.
type Told = (u16, &'static str);

const DELIVERIES: [(&str, Delivered, Told); 10] = [
    (
        "a connection that breaks",
        |right| right.delivered(Delivery::Cut(1000)),
        (503, "try again later"),
    ),
    (
        "a part, by its own account whole",
        |right| Response::new(200, "application/zip", &right.body[..1000]),
        (424, "cut off"),
    ),
    (
        "a part of unknown length",
        |right| {
            let part = Response::new(200, "application/zip", &right.body[..1000]);
            part.delivered(Delivery::Unannounced)
        },
        (424, "cut off"),
    ),
    (
        "another archive",
        |_| Response::new(200, "application/zip", archive(PACKAGE, "6.6.6", 20_000)),
        (424, "SHA-1"),
    ),
    (
        "a web page",
        |_| Response::new(200, "text/html", "<!doctype html><title>Log in</title>"),
        (424, "web page"),
    ),
    (
        "nothing",
        |_| Response::new(200, "application/zip", ""),
        (424, "empty"),
    ),
    (
        "too much",
        |_| Response::new(200, "application/zip", archive(PACKAGE, "1.0.0", LIMIT)),
        (424, "maxArchiveSize"),
    ),
    (
        "too much of unknown length",
        |_| {
            let large = Response::new(200, "application/zip", archive(PACKAGE, "1.0.0", LIMIT));
            large.delivered(Delivery::Unannounced)
        },
        (424, "maxArchiveSize"),
    ),
    (
        "that it is not there",
        |_| Response::not_found(),
        (410, "no longer in its repository"),
    ),
    (
        "that nobody may have it",
        |_| Response::new(403, "text/plain", "no"),
        (503, "try again later"),
    ),
];

fn limited(upstream: &Upstream) -> Manifests {
    let limits = json!({"limits": {"maxArchiveSize": LIMIT.to_string()}});
    manifests(&limits).repository("team", "composer", &upstream.url(), &json!({}))
}

fn assert_told(answer: &Answer, (status, words): Told, what: &str) {
    assert_problem(answer, status, what);
    assert!(answer.text().contains(words), "{what}: {}", answer.text());
    // A client comes back by itself only if that can help.
    let comes_back = answer.header("retry-after").is_some();
    assert_eq!(comes_back, status == 503, "{what}");
}

/// Nothing is remembered of a failure: each request asks the upstream again, so that the first one
/// after it was mended is answered.
#[test]
fn a_wrong_archive_is_refused_until_it_is_mended() {
    let upstream = Upstream::listed();
    let zip = archive(PACKAGE, "1.0.0", 20_000);
    for (index, _) in DELIVERIES.iter().enumerate() {
        upstream.publish(PACKAGE, &format!("1.{index}.0"), &zip, true);
    }
    let registry = Registry::start(&limited(&upstream));
    for (index, (what, delivered, told)) in DELIVERIES.into_iter().enumerate() {
        let version = format!("1.{index}.0");
        let place = archive_path(PACKAGE, &version);
        let path = registry.archive_of("all", PACKAGE, &version);
        upstream.disturb(&place, move |_, right| delivered(right));
        let defects = Metrics::read(&registry).of("archive_defects_total");
        for _ in 0..2 {
            assert_told(&registry.get("all", &path), told, what);
        }
        let head = registry.call("all", "HEAD", &path).send().unwrap();
        assert_eq!(head.status, told.0, "{what}");
        let more = Metrics::read(&registry).of("archive_defects_total") - defects;
        assert_eq!(more, if told.0 == 424 { 3 } else { 0 }, "{what}");
        eventually("an empty staging folder", || {
            registry.staged().is_empty().then_some(())
        });
        // One content, stored once however many versions have it.
        assert_eq!(registry.blobs().len(), usize::from(index > 0), "{what}");

        let asked = upstream.asked(&place);
        upstream.mend(&place);
        let answer = registry.get("all", &path);
        assert_eq!(answer.status, 200, "{what}, mended: {}", answer.text());
        assert!(answer.body == zip, "{what}, mended: other bytes");
        assert_eq!(upstream.asked(&place), asked + 1, "{what}");
    }
}

#[test]
fn an_archive_of_just_the_allowed_size_is_served() {
    let upstream = Upstream::listed();
    let empty = archive(PACKAGE, "1.0.0", 0).len();
    for (version, size) in [("1.0.0", LIMIT), ("1.1.0", LIMIT + 1)] {
        let zip = archive(PACKAGE, version, size - empty);
        assert_eq!(zip.len(), size);
        upstream.publish(PACKAGE, version, &zip, true);
    }
    let mut registry = Registry::start(&limited(&upstream));
    let [fits, exceeds] =
        ["1.0.0", "1.1.0"].map(|version| registry.archive_of("all", PACKAGE, version));
    assert_eq!(registry.get("all", &fits).body.len(), LIMIT);
    let told = (424, "maxArchiveSize");
    assert_told(&registry.get("all", &exceeds), told, "a byte too much");
    // What the message says helps.
    let more = json!({"limits": {"maxArchiveSize": (LIMIT + 1).to_string()}});
    registry.patch("PackageBroker", Manifests::BROKER, &more);
    assert_eq!(registry.get("all", &exceeds).body.len(), LIMIT + 1);
}

#[test]
fn an_upstream_that_fails_is_asked_again_before_it_is_given_up() {
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    let place = archive_path(PACKAGE, "1.0.0");
    upstream.fail(&place, 500);
    let registry = Registry::start(&limited(&upstream));
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let told = (503, "try again later");
    assert_told(&registry.get("all", &path), told, "an error");
    assert!(upstream.asked(&place) > 1, "{}", upstream.asked(&place));
    upstream.mend(&place);
    assert_eq!(registry.get("all", &path).status, 200);
}
