//! `Last-Modified`, `If-Modified-Since` and encodings (protocol A.5).

use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::support::observer::{HttpDate, Observer};
use crate::support::registry::{Registry, manifests, with_token};
use crate::support::upstream::Upstream;
use crate::support::{decoded, eventually, json as json_of, versions};

const PATHS: [&str; 4] = [
    "/packages.json",
    "/p2/acme/lib.json",
    "/p2/acme/lib~dev.json",
    "/p2/acme/log.json",
];
const TOKENS: [&str; 4] = ["all", "vendor", "exact", "nothing"];

/// `acme/lib` and `acme/log`, claimed, from one Composer repository, and tokens with four scopes.
fn world() -> (Registry, Upstream) {
    let upstream = Upstream::listed();
    upstream.release("acme/lib", "1.0.0");
    upstream.release("acme/log", "1.0.0");
    let include = json!({"packages": {"include": ["acme/*"]}});
    let mut all = manifests(&json!({})).repository("team", "composer", &upstream.url(), &include);
    for (name, patterns) in [
        ("vendor", json!(["acme/*"])),
        ("exact", json!(["acme/lib"])),
        ("nothing", json!(["initech/*"])),
    ] {
        all = with_token(all, name, &json!({"scopes": {"packages": patterns}}));
    }
    (Registry::start(&all), upstream)
}

#[test]
fn dates_are_compared_as_text() {
    let (registry, _upstream) = world();
    for path in PATHS {
        let answer = registry.get("all", path);
        let date = answer.header("last-modified").unwrap();
        for method in ["GET", "HEAD"] {
            for (since, status) in [
                (date, 304),
                ("Mon, 01 Jan 2001 00:00:00 GMT", 200),
                ("Fri, 01 Jan 2100 00:00:00 GMT", 200),
                (&date.to_lowercase(), 200),
                ("yesterday", 200),
                ("", 200),
            ] {
                let call = registry.call("all", method, path);
                let again = call.header("If-Modified-Since", since).send().unwrap();
                let what = format!("{method} {path} since {since:?}");
                assert_eq!(again.status, status, "{what}");
                assert_eq!(again.header("last-modified"), Some(date), "{what}");
                let body: &[u8] = if (status, method) == (200, "GET") {
                    &answer.body
                } else {
                    b""
                };
                assert_eq!(again.body, body, "{what}");
            }
        }
    }
}

#[test]
fn every_encoding_says_the_same() {
    let (registry, _upstream) = world();
    for path in PATHS {
        let plain = registry.get("all", path);
        assert_eq!(plain.header("content-encoding"), None);
        assert_eq!(plain.header("content-type"), Some("application/json"));
        for (accepted, encoding) in [
            ("gzip", Some("gzip")),
            ("zstd", Some("zstd")),
            ("deflate, gzip, br, zstd", Some("zstd")),
            ("deflate, gzip", Some("gzip")),
            ("identity", None),
            ("br", None),
            ("gzip;q=0, identity", None),
        ] {
            let call = registry.call("all", "GET", path);
            let answer = call.header("Accept-Encoding", accepted).send().unwrap();
            // An answer without a version has nothing to compress.
            let empty = json_of(&plain)["packages"]["acme/lib"] == json!([]);
            if !empty || answer.header("content-encoding").is_some() {
                assert_eq!(
                    answer.header("content-encoding"),
                    encoding,
                    "{path}, {accepted}"
                );
            }
            assert_eq!(decoded(&answer), decoded(&plain), "{path}, {accepted}");
            assert_eq!(
                answer.header("last-modified"),
                plain.header("last-modified")
            );
            let vary = answer.header("vary").unwrap_or_default();
            assert!(vary.contains("Accept-Encoding"), "{path}: {vary}");
        }
    }
}

/// Checksums become known with the first download, so each download here changes the document;
/// all of them within a second.
#[test]
fn two_changes_within_a_second_have_two_dates() {
    let upstream = Upstream::listed();
    for minor in 0..6 {
        upstream.release_without_checksum("acme/lib", &format!("1.{minor}.0"));
    }
    let registry = Registry::start(&manifests(&json!({})).repository(
        "team",
        "composer",
        &upstream.url(),
        &json!({}),
    ));
    let path = "/p2/acme/lib.json";
    let mut observer = Observer::default();
    let mut last = observer.look(&registry, "all", path).unwrap();
    for minor in 0..6 {
        let archive = registry.archive_of("all", "acme/lib", &format!("1.{minor}.0"));
        assert_eq!(registry.get("all", &archive).status, 200);
        let next = eventually("the checksum", || {
            let date = observer.look(&registry, "all", path).unwrap();
            (date > last).then_some(date)
        });
        let known = registry.document("all", "acme/lib");
        let with_checksum = known.iter().filter(|entry| {
            let checksum = entry["dist"]["shasum"].as_str();
            checksum.is_some_and(|checksum| checksum.len() == 40)
        });
        assert_eq!(with_checksum.count(), minor + 1);
        last = next;
    }
}

#[test]
fn a_view_moves_with_its_scope() {
    let (mut registry, _upstream) = world();
    let mut observer = Observer::default();
    let before = observer.look_around(&registry, &TOKENS, &PATHS);
    let scope = |patterns| json!({"scopes": {"packages": patterns}});
    registry.patch("AccessToken", "exact", &scope(json!(["acme/log"])));
    let after = observer.look_around(&registry, &TOKENS, &PATHS);
    for (index, (before, after)) in before.iter().zip(&after).enumerate() {
        let (token, path) = (TOKENS[index / PATHS.len()], PATHS[index % PATHS.len()]);
        let moved = after > before;
        assert_eq!(
            moved,
            token == "exact",
            "{path} for {token}: {before:?}, {after:?}"
        );
    }
    // Back again: what was seen before must not pass for what is seen now.
    registry.patch("AccessToken", "exact", &scope(json!(["acme/lib"])));
    let back = observer.look_around(&registry, &["exact"], &PATHS);
    let moved = after[2 * PATHS.len()..].iter().zip(&back);
    assert!(moved.clone().all(|(before, after)| after > before));
}

#[test]
fn a_package_that_vanishes_and_returns_moves_forward() {
    let (mut registry, upstream) = world();
    let mut observer = Observer::default();
    let path = "/p2/acme/log.json";
    let mut look = |registry: &Registry| -> (HttpDate, usize, HttpDate) {
        let date = observer.look(registry, "all", path).unwrap();
        let versions = versions(&json_of(&registry.get("all", path)), "acme/log").len();
        observer.look_around(registry, &TOKENS, &PATHS);
        let root = observer.look(registry, "all", "/packages.json").unwrap();
        (date, versions, root)
    };
    let here = look(&registry);
    upstream.remove("acme/log");
    registry.sync("team");
    let gone = look(&registry);
    upstream.release("acme/log", "1.0.0");
    registry.sync("team");
    let back = look(&registry);
    assert_eq!((here.1, gone.1, back.1), (1, 0, 1));
    assert!(
        here.0 < gone.0 && gone.0 < back.0,
        "{here:?} {gone:?} {back:?}"
    );
    assert!(
        here.2 < gone.2 && gone.2 < back.2,
        "{here:?} {gone:?} {back:?}"
    );
}

#[test]
fn a_new_version_moves_its_package_and_no_other() {
    let (mut registry, upstream) = world();
    let mut observer = Observer::default();
    let before = observer.look_around(&registry, &["all"], &PATHS);
    upstream.release("acme/lib", "1.1.0");
    registry.sync("team");
    let after = observer.look_around(&registry, &["all"], &PATHS);
    let moved: Vec<bool> = before.iter().zip(&after).map(|(a, b)| b > a).collect();
    assert_eq!(moved, [false, true, false, false], "{PATHS:?}");
}

#[test]
fn a_restart_moves_nothing() {
    let (mut registry, _upstream) = world();
    let mut observer = Observer::default();
    let before = observer.look_around(&registry, &TOKENS, &PATHS);
    // So that a date made anew would be another.
    thread::sleep(Duration::from_millis(1100));
    registry.restart();
    registry.sync("team");
    assert_eq!(observer.look_around(&registry, &TOKENS, &PATHS), before);
}
