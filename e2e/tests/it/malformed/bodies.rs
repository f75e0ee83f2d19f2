//! Bodies of `notify-batch`.

use super::Says::{Served, Warning};
use super::{Row, Target, request};

const NOTE: &str = r#"{"downloads":[{"name":"acme/lib","version":"1.0.0.0"}]}"#;

/// POST of a body with its length.
fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = format!("Content-Length: {}", body.len());
    request("POST /notify-batch HTTP/1.1", &[&length], body)
}

#[test]
fn notifications_that_are_none_are_told() {
    let shape = Warning("{\"downloads\":[{\"name\",\"version\"}]}");
    let rows: [Row<'_>; 18] = [
        ("a notification", post(NOTE), 200, Served("success")),
        ("nothing", post(""), 400, shape),
        ("a form", post("downloads[0][name]=acme/lib"), 400, shape),
        ("a text", post("\"downloads\""), 400, shape),
        ("null", post("null"), 400, shape),
        ("a list", post("[]"), 400, shape),
        (
            "no list",
            post(r#"{"packages":[]}"#),
            400,
            Warning("missing field `downloads`"),
        ),
        (
            "a text for the list",
            post(r#"{"downloads":"acme/lib"}"#),
            400,
            Warning("string \"acme/lib\""),
        ),
        (
            "numbers",
            post(r#"{"downloads":[1,2]}"#),
            400,
            Warning("integer `1`"),
        ),
        (
            "no name",
            post(r#"{"downloads":[{"version":"1"}]}"#),
            400,
            Warning("missing field `name`"),
        ),
        (
            "no version",
            post(r#"{"downloads":[{"name":"a/b"}]}"#),
            400,
            Warning("missing field `version`"),
        ),
        (
            "a name of null",
            post(r#"{"downloads":[{"name":null,"version":"1"}]}"#),
            400,
            Warning("null"),
        ),
        (
            "a list twice",
            post(r#"{"downloads":[],"downloads":[]}"#),
            400,
            Warning("duplicate field"),
        ),
        ("cut", post(&NOTE[..30]), 400, Warning("EOF")),
        (
            "more after it",
            post(format!("{NOTE} x")),
            400,
            Warning("trailing characters at line 1 column 57"),
        ),
        (
            "not UTF-8",
            post(b"{\"downloads\":[{\"name\":\"\xff\"}]}"),
            400,
            Warning("column 24"),
        ),
        (
            "half of a pair",
            post(r#"{"downloads":[{"name":"\ud800"}]}"#),
            400,
            shape,
        ),
        (
            "a byte order mark",
            post(format!("\u{feff}{NOTE}")),
            400,
            shape,
        ),
    ];
    Target::start().check(&rows);
}

#[test]
fn notifications_beyond_the_bounds_are_told() {
    let deep = |depth: usize| "[".repeat(depth);
    let unknown = format!(
        "{{\"x\":{}{},\"downloads\":[]}}",
        deep(50_000),
        "]".repeat(50_000)
    );
    let entry = r#"{"name":"acme/lib","version":"1"}"#;
    let many = format!("{{\"downloads\":[{}]}}", vec![entry; 10_001].join(","));
    let large = format!("{}{NOTE}", " ".repeat(3 << 20));
    let size = Warning("at most 2097152 bytes");
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let chunks = format!("{}0\r\n\r\n", chunk.repeat(40));
    let line = "POST /notify-batch HTTP/1.1";
    let long_name = format!(
        "{{\"downloads\":[{{\"name\":\"{}\",\"version\":\"1\"}}]}}",
        "a".repeat(1 << 20)
    );
    let long_text = format!("{{\"downloads\":\"{}\"}}", "a".repeat(1 << 20));
    let target = Target::start();
    target.check(&[
        (
            "a text of one MiB",
            post(long_text),
            400,
            Warning("string \"aaaa"),
        ),
        ("deep", post(deep(100_000)), 400, Warning("column")),
        (
            "deep within",
            post(format!("{{\"downloads\":{}", deep(100_000))),
            400,
            Warning("column"),
        ),
        // What is not asked for is passed over, however deep.
        ("deep elsewhere", post(unknown), 200, Served("success")),
        ("many", post(many), 400, Warning("at most 10000 packages")),
        ("large", post(large), 413, size),
        (
            "large in chunks",
            request(line, &["Transfer-Encoding: chunked"], chunks.as_bytes()),
            413,
            size,
        ),
        // Told before it is sent.
        (
            "said to be large",
            request(line, &["Content-Length: 99999999999"], b""),
            413,
            size,
        ),
        ("a name of one MiB", post(long_name), 200, Served("success")),
        (
            "no package",
            post(r#"{"downloads":[{"name":"../../x","version":"\u0000"}]}"#),
            200,
            Served("success"),
        ),
    ]);
    let cut = request(line, &["Content-Length: 55"], b"{\"downl");
    let answer = target.exchange_to_the_end(&cut, true);
    assert!(
        answer.starts_with("HTTP/1.1 400 ") && answer.contains("ended early"),
        "{answer}"
    );
    target.assert_serving("a body that was cut");
    target.assert_never_failed();
}
