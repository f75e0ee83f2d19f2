//! Methods, versions and headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use package_broker_e2e::http::exchange_bytes;

use super::Says::{Parser, Served, Warning};
use super::{Row, Target, bare, request};
use crate::support::registry::secret;
use crate::support::{decoded, json as json_of};

const ROOT: &str = "GET /packages.json HTTP/1.1";

#[test]
fn credentials_that_say_nothing_are_refused() {
    let base64 = |bytes: &[u8]| format!("Authorization: Basic {}", STANDARD.encode(bytes));
    let long = [b"token:".as_slice(), &vec![b'x'; 200_000]].concat();
    let rows = [
        ("none", String::new(), "needs a token"),
        ("empty", "Authorization:".to_owned(), "not valid here"),
        (
            "no value",
            "Authorization: Basic".to_owned(),
            "not valid here",
        ),
        (
            "not base64",
            "Authorization: Basic !!!".to_owned(),
            "not valid here",
        ),
        ("no colon", base64(b"token"), "not valid here"),
        ("nothing around the colon", base64(b":"), "not valid here"),
        (
            "not UTF-8 inside",
            base64(b"\xff\xfe:\xff"),
            "not valid here",
        ),
        (
            "another scheme",
            "Authorization: Digest username=\"x\"".to_owned(),
            "not valid here",
        ),
        (
            "a scheme alone",
            "Authorization: Bearer".to_owned(),
            "not valid here",
        ),
        ("very long", base64(&long), "not valid here"),
    ];
    let rows: Vec<Row<'_>> = rows
        .iter()
        .map(|(what, header, said)| {
            let headers: &[&str] = if header.is_empty() { &[] } else { &[header] };
            (*what, bare(ROOT, headers, b""), 401, Warning(said))
        })
        .collect();
    let target = Target::start();
    target.check(&rows);
    let mut bytes = bare(ROOT, &["Authorization: Basic "], b"");
    let end = bytes.len() - 4;
    bytes.splice(end..end, *b"\xff\xfe");
    let not_utf8 = ("not UTF-8", bytes, 401, Warning("not valid here"));
    target.check(&[not_utf8]);
}

#[test]
fn conditions_and_encodings_that_say_nothing_are_left_out() {
    let target = Target::start();
    let long = format!("If-Modified-Since: {}", "x".repeat(30_000));
    for header in [
        "If-Modified-Since:",
        "If-Modified-Since: yesterday",
        "If-Modified-Since: Tue, 99 Foo 2024 99:99:99 GMT",
        "If-Modified-Since: 0",
        "If-Modified-Since: \u{fffd}",
        &long,
        "If-None-Match: *",
        "Range: bytes=5-1",
        "Accept-Encoding:",
        "Accept-Encoding: ;;;,,,",
        "Accept-Encoding: gzip;q=abc",
        "Accept-Encoding: gzip;q=-1, zstd;q=NaN",
        "Accept-Encoding: gzip;q=0.0, zstd;q=0",
        "Accept-Encoding: *;q=0",
        "Accept-Encoding: \u{fffd}",
        "Accept-Encoding: brotli, compress, pack200-gzip",
        "Expect: the-unexpected",
    ] {
        for path in ["/packages.json", "/p2/acme/lib.json"] {
            let line = format!("GET {path} HTTP/1.1");
            let answer =
                exchange_bytes(target.registry.broker.url(), &request(line, &[header], b""));
            let answer = answer.unwrap();
            assert_eq!(answer.status, 200, "{path}, {header}");
            let plain = target.registry.get("all", path);
            assert_eq!(decoded(&answer), decoded(&plain), "{path}, {header}");
        }
    }
    target.assert_never_failed();
}

#[test]
fn headers_beyond_the_bounds_are_refused() {
    let many = |count: usize| {
        (0..count)
            .map(|number| format!("X-{number}: y"))
            .collect::<Vec<_>>()
    };
    let (some, many) = (many(90), many(500));
    let all = |headers: &[String]| {
        request(
            ROOT,
            &headers.iter().map(String::as_str).collect::<Vec<_>>(),
            b"",
        )
    };
    let long = format!("X: {}", "y".repeat(100_000));
    let too_long = format!("X: {}", "y".repeat(1_000_000));
    let with = |header: &str| request(ROOT, &[header], b"");
    let target = Target::start();
    target.check(&[
        ("many", all(&some), 200, Served("metadata-url")),
        ("too many", all(&many), 431, Parser),
        ("long", with(&long), 200, Served("metadata-url")),
        ("too long", with(&too_long), 431, Parser),
        ("no colon", with("X"), 400, Parser),
        ("no name", with(": x"), 400, Parser),
        ("a blank in the name", with("X Y: z"), 400, Parser),
        ("NUL", with("X: a\0b"), 400, Parser),
        ("folded", with("X: a\r\n b"), 400, Parser),
        ("bare CR", with("X: a\rb"), 400, Parser),
    ]);
    for id in ["<script>", "", "a b", &"x".repeat(65)] {
        let header = format!("X-Request-Id: {id}");
        let answer = exchange_bytes(target.registry.broker.url(), &with(&header)).unwrap();
        let given = answer.header("x-request-id").unwrap();
        assert!(given != id && given.len() <= 64, "{id:?} became {given:?}");
    }
}

#[test]
fn methods_that_are_unknown_are_told() {
    let long = format!("{} /packages.json HTTP/1.1", "A".repeat(5_000));
    let with = |method: &str| request(format!("{method} /packages.json HTTP/1.1"), &[], b"");
    let target = Target::start();
    target.check(&[
        (
            "BREW",
            with("BREW"),
            405,
            Warning("BREW is not possible here, only GET, HEAD"),
        ),
        (
            "lower case",
            with("get"),
            405,
            Warning("get is not possible"),
        ),
        ("PATCH", with("PATCH"), 405, Warning("PATCH")),
        ("OPTIONS", with("OPTIONS"), 405, Warning("OPTIONS")),
        ("TRACE", with("TRACE"), 405, Warning("TRACE")),
        ("long", request(long, &[], b""), 405, Warning("AAAA")),
        ("not a word", with("G@T"), 400, Parser),
        ("none", with(""), 400, Parser),
        ("two", with("GET GET"), 400, Parser),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            400,
            Parser,
        ),
    ]);
    let answer = exchange_bytes(target.registry.broker.url(), &with("TRACE")).unwrap();
    assert!(!answer.text().contains(&secret("all")), "{}", answer.text());
    let allowed = target
        .registry
        .call("all", "BREW", "/notify-batch")
        .send()
        .unwrap();
    assert_eq!(allowed.header("allow"), Some("POST"));
    assert!(
        json_of(&allowed)["warning"]
            .as_str()
            .unwrap()
            .contains("only POST")
    );
}

#[test]
fn versions_that_are_unknown_are_refused() {
    let with = |version: &str| request(format!("GET /packages.json {version}"), &[], b"");
    let target = Target::start();
    target.check(&[
        ("1.0", with("HTTP/1.0"), 200, Served("metadata-url")),
        ("0.9", with("HTTP/0.9"), 400, Parser),
        (
            "0.9 as it was",
            b"GET /packages.json\r\n".to_vec(),
            400,
            Parser,
        ),
        ("1.2", with("HTTP/1.2"), 400, Parser),
        ("2.0", with("HTTP/2.0"), 400, Parser),
        ("3", with("HTTP/3"), 400, Parser),
        ("11", with("HTTP/11"), 400, Parser),
        ("lower case", with("http/1.1"), 400, Parser),
        ("of something else", with("FTP/1.1"), 400, Parser),
        ("none", with(""), 400, Parser),
        ("something after it", with("HTTP/1.1 x"), 400, Parser),
    ]);
    for half in [
        "GET /packages.json HT",
        "GET /packages.json HTTP/1.1\r\nHost: x\r\nAuthor",
        "\r\n",
        "",
    ] {
        let answers = target.exchange_to_the_end(half.as_bytes(), true);
        assert!(
            !answers.contains(" 200 ") && !answers.contains(" 5"),
            "{half:?}: {answers}"
        );
        target.assert_serving(half);
    }
    // The preface of HTTP/2, and then nothing that belongs there.
    let http2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n";
    target.exchange_to_the_end(http2, false);
    target.assert_serving("garbage after the preface of HTTP/2");
    target.assert_never_failed();
}
