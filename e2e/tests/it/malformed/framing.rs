//! Where a body ends: what proxies and servers may read in two ways.

use super::Says::{Parser, Served, Warning};
use super::{Target, asking, request};
use crate::support::registry::{basic, secret};

const NOTE: &str = r#"{"downloads":[{"name":"acme/lib","version":"1.0.0.0"}]}"#;
const LINE: &str = "POST /notify-batch HTTP/1.1";

/// The notification as one chunk.
fn chunked() -> String {
    format!("{:x}\r\n{NOTE}\r\n0\r\n\r\n", NOTE.len())
}

/// POST of the notification with these headers.
fn plain(headers: &[&str]) -> Vec<u8> {
    request(LINE, headers, NOTE.as_bytes())
}

/// The same in one chunk.
fn in_chunks(headers: &[&str]) -> Vec<u8> {
    request(LINE, headers, chunked().as_bytes())
}

#[test]
fn lengths_that_are_none_are_refused() {
    Target::start().check(&[
        (
            "right",
            plain(&["Content-Length: 55"]),
            200,
            Served("success"),
        ),
        ("negative", plain(&["Content-Length: -1"]), 400, Parser),
        ("a word", plain(&["Content-Length: many"]), 400, Parser),
        ("with a sign", plain(&["Content-Length: +55"]), 400, Parser),
        ("hexadecimal", plain(&["Content-Length: 0x37"]), 400, Parser),
        (
            "beyond 64 bits",
            plain(&["Content-Length: 99999999999999999999999"]),
            400,
            Parser,
        ),
        ("a list", plain(&["Content-Length: 55, 5"]), 400, Parser),
        (
            "two",
            plain(&["Content-Length: 55", "Content-Length: 5"]),
            400,
            Parser,
        ),
        (
            "too short",
            plain(&["Content-Length: 5"]),
            400,
            Warning("EOF"),
        ),
        ("none", plain(&[]), 400, Warning("EOF")),
        (
            "none, of a GET",
            asking("/packages.json"),
            200,
            Served("metadata-url"),
        ),
    ]);
}

#[test]
fn codings_that_are_none_are_refused() {
    let old = request(
        "POST /notify-batch HTTP/1.0",
        &["Transfer-Encoding: chunked"],
        chunked().as_bytes(),
    );
    let twice = ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"];
    Target::start().check(&[
        (
            "chunked",
            in_chunks(&["Transfer-Encoding: chunked"]),
            200,
            Served("success"),
        ),
        ("gzip", in_chunks(&["Transfer-Encoding: gzip"]), 400, Parser),
        (
            "identity",
            plain(&["Transfer-Encoding: identity"]),
            400,
            Parser,
        ),
        (
            "almost chunked",
            in_chunks(&["Transfer-Encoding: xchunked"]),
            400,
            Parser,
        ),
        (
            "chunked, then gzip",
            in_chunks(&["Transfer-Encoding: chunked, gzip"]),
            400,
            Parser,
        ),
        ("two", in_chunks(&twice), 400, Parser),
        (
            "a blank before the colon",
            in_chunks(&["Transfer-Encoding : chunked"]),
            400,
            Parser,
        ),
        ("in HTTP/1.0", old, 400, Parser),
    ]);
}

#[test]
fn chunks_that_are_none_are_told() {
    let chunks = |body: &str| request(LINE, &["Transfer-Encoding: chunked"], body.as_bytes());
    let long = format!("37;{}\r\n{NOTE}\r\n0\r\n\r\n", "x".repeat(100_000));
    let early = Warning("the body ended early");
    Target::start().check(&[
        (
            "a size that is none",
            chunks("zz\r\nabc\r\n0\r\n\r\n"),
            400,
            early,
        ),
        (
            "a size beyond 64 bits",
            chunks("fffffffffffffffffffff\r\nabc"),
            400,
            early,
        ),
        (
            "a negative size",
            chunks("-1\r\nabc\r\n0\r\n\r\n"),
            400,
            early,
        ),
        (
            "no end of the chunk",
            chunks(&format!("37\r\n{NOTE}XX0\r\n\r\n")),
            400,
            early,
        ),
        ("a long extension", chunks(&long), 400, early),
    ]);
}

/// What follows the first request on the connection, which is kept open, must not be answered.
#[test]
fn a_request_with_two_ends_is_the_last_of_its_connection() {
    let target = Target::start();
    let authorization = basic("token", &secret("all"));
    let smuggled = asking("/list.json");
    for headers in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 55\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
    ] {
        let head =
            format!("{LINE}\r\nHost: x\r\nAuthorization: {authorization}\r\n{headers}\r\n\r\n");
        let bytes = [head.as_bytes(), chunked().as_bytes(), &smuggled].concat();
        let answers = target.exchange_to_the_end(&bytes, false);
        assert_eq!(
            answers.matches("HTTP/1.1 ").count(),
            1,
            "{headers}: {answers}"
        );
        assert!(!answers.contains("packageNames"), "{headers}: {answers}");
        target.assert_serving(headers);
    }
    // With one end, it is answered: the test can tell.
    let head = format!(
        "{LINE}\r\nHost: x\r\nAuthorization: {authorization}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    let bytes = [head.as_bytes(), chunked().as_bytes(), &smuggled].concat();
    let answers = target.exchange_to_the_end(&bytes, false);
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 2, "{answers}");
    target.assert_never_failed();
}

/// A body that nobody reads is not taken for the next request.
#[test]
fn a_body_that_nobody_asked_for_is_passed_over() {
    let target = Target::start();
    let second = asking("/list.json");
    for (first, status) in [
        ("GET /packages.json", "200"),
        ("GET /nowhere", "404"),
        ("PUT /list.json", "405"),
    ] {
        let body = asking("/search.json?q=smuggled");
        let length = body.len();
        let authorization = basic("token", &secret("all"));
        let head = format!(
            "{first} HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nContent-Length: {length}\r\n\r\n"
        );
        let answers =
            target.exchange_to_the_end(&[head.as_bytes(), &body, &second].concat(), false);
        assert!(
            answers.starts_with(&format!("HTTP/1.1 {status} ")),
            "{first}: {answers}"
        );
        assert!(!answers.contains("\"total\""), "{first}: {answers}");
        assert!(answers.contains("packageNames"), "{first}: {answers}");
    }
    target.assert_never_failed();
}
