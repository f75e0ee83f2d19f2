//! `/metrics`: the names that are documented, in the format that is promised, and counts that move.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use package_broker_e2e::http::get;
use serde_json::json;

use crate::support::metrics::Metrics;
use crate::support::registry::{Registry, basic, manifests};
use crate::support::upstream::{Upstream, archive, archive_path};

const PACKAGE: &str = "acme/lib";

fn world() -> (Registry, Upstream) {
    let upstream = Upstream::listed();
    upstream.release(PACKAGE, "1.0.0");
    upstream.release(PACKAGE, "1.1.0");
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    (Registry::start(&all), upstream)
}

/// Names and types as the page for operators has them, without those of replicas, which the tests of these read.
fn documented() -> BTreeSet<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page
        .lines()
        .filter(|line| !line.contains("; replicas only"));
    let rows = rows.filter_map(|line| {
        let mut cells = line.strip_prefix("| `package_broker_")?.split('|');
        let name = cells.next()?.trim().trim_end_matches('`');
        Some((name.to_owned(), cells.next()?.trim().to_owned()))
    });
    rows.collect()
}

/// Names and types as the metrics declare them.
fn declared(text: &str) -> Vec<(String, String)> {
    let types = text.lines().filter_map(|line| {
        let (name, kind) = line
            .strip_prefix("# TYPE package_broker_")?
            .split_once(' ')?;
        let suffix = if kind == "counter" { "_total" } else { "" };
        Some((format!("{name}{suffix}"), kind.to_owned()))
    });
    types.collect()
}

#[test]
fn metrics_are_those_that_are_documented() {
    let (registry, _upstream) = world();
    registry.get("all", "/packages.json");
    let text = Metrics::read(&registry).text;
    let declared = declared(&text);
    let names: BTreeSet<_> = declared.iter().cloned().collect();
    assert_eq!(names.len(), declared.len(), "declared twice: {declared:?}");
    assert_eq!(names, documented());
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(text.matches("# EOF").count(), 1);
    let answer = get(&format!("{}/metrics", registry.broker.metrics_url()), &[]).unwrap();
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("application/openmetrics-text;"), "{kind}");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let known = names.iter().any(|(name, _)| {
            let name = line
                .strip_prefix("package_broker_")
                .unwrap()
                .strip_prefix(name);
            name.is_some_and(|rest| rest.starts_with([' ', '{', '_']))
        });
        assert!(known, "{line} belongs to nothing");
        assert!(!line.contains("acme") && !line.contains("team"), "{line}");
    }
}

#[test]
fn counts_move_with_what_they_count() {
    let (registry, upstream) = world();
    // The registry is ready a moment before its first sync has written everything down.
    let deadline = Instant::now() + Duration::from_secs(30);
    while Metrics::read(&registry).of("syncs_succeeded_total") == 0 {
        assert!(Instant::now() < deadline, "the first sync never ends");
        sleep(Duration::from_millis(20));
    }
    let before = Metrics::read(&registry);
    let good = registry.archive_of("all", PACKAGE, "1.0.0");
    let bad = registry.archive_of("all", PACKAGE, "1.1.0");
    upstream.fail(&archive_path(PACKAGE, "1.1.0"), 200);
    for (path, status) in [(&good, 200), (&good, 200), (&bad, 424)] {
        assert_eq!(registry.get("all", path).status, status);
    }
    let guess = registry.anonymous("GET", "/packages.json");
    let guess = guess.header("Authorization", &basic("token", "guess"));
    assert_eq!(guess.send().unwrap().status, 401);
    let note = json!({"downloads": [{"name": PACKAGE, "version": "1.0.0.0"}]});
    let call = registry.call("all", "POST", "/notify-batch");
    assert_eq!(call.body(note.to_string()).send().unwrap().status, 200);

    let after = Metrics::read(&registry);
    let size = archive(PACKAGE, "1.0.0", 0).len();
    let dist = "/dist/{vendor}/{package}/{version}/{file}";
    for (name, more) in [
        ("archive_fetches_total", 1),
        ("archive_fetched_bytes_total", size),
        ("archive_hits_total", 2),
        ("archive_defects_total", 1),
        ("auth_failures_total", 1),
        ("installs_notified_total", 1),
        ("syncs_succeeded_total", 0),
        (&requests("/packages.json", 401), 1),
        (&requests("/notify-batch", 200), 1),
        (&requests("/p2/{vendor}/{file}", 200), 2),
        (&requests(dist, 200), 2),
        (&requests(dist, 424), 1),
        (
            &format!("http_request_duration_seconds_count{{route=\"{dist}\"}}"),
            3,
        ),
    ] {
        assert_eq!(after.of(name) - before.of(name), more, "{name}");
    }
    let read = |metrics: &Metrics| {
        metrics.of("document_cache_hits_total") + metrics.of("document_cache_misses_total")
    };
    assert_eq!(read(&after) - read(&before), 2);
    for (name, value) in [("packages", 1), ("tokens", 2), ("syncs_failed_total", 0)] {
        assert_eq!(after.of(name), value, "{name}");
    }
    assert!(after.of("syncs_succeeded_total") > 0);
    assert!(after.of("packages_read_total") > 0 && after.of("packages_written_total") > 0);
    assert!(after.of("document_cache_bytes") > 0);
}

fn requests(route: &str, status: u16) -> String {
    format!("http_requests_total{{route=\"{route}\",status=\"{status}\"}}")
}

#[test]
fn failed_syncs_are_counted() {
    let upstream = Upstream::listed();
    upstream.fail("/", 404);
    let all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &json!({}));
    let registry = Registry::start(&all);
    let metrics = Metrics::read(&registry);
    assert_eq!(metrics.of("syncs_failed_total"), 1, "{}", metrics.text);
    assert_eq!(metrics.of("syncs_succeeded_total"), 0, "{}", metrics.text);
}
