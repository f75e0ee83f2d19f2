//! Bodies of `notify-batch`.

use super::Says::{Served, Warning};
use super::{Target, request};

const NOTE: &str = r#"{"downloads":[{"name":"acme/lib","version":"1.0.0.0"}]}"#;

/// POST of a body with its length.
fn post(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let length = format!("Content-Length: {}", body.len());
    request("POST /notify-batch HTTP/1.1", &[&length], body)
}

/// What every answer begins with.
const SHAPE: &str = "the notification is not {\"downloads\":[{\"name\",\"version\"}]}: ";

/// Bodies, and what is said of them.
const BODIES: [(&str, &str); 16] = [
    ("", "EOF while parsing a value at line 1 column 0"),
    ("downloads[0][name]=acme/lib", "expected value at line 1"),
    ("\"downloads\"", "string \"downloads\""),
    ("null", "null"),
    ("[]", "length 0"),
    (r#"{"packages":[]}"#, "missing field `downloads`"),
    (r#"{"downloads":"acme/lib"}"#, "string \"acme/lib\""),
    (r#"{"downloads":[1,2]}"#, "integer `1`"),
    (r#"{"downloads":[{"version":"1"}]}"#, "missing field `name`"),
    (
        r#"{"downloads":[{"name":"a/b"}]}"#,
        "missing field `version`",
    ),
    (r#"{"downloads":[{"name":null,"version":"1"}]}"#, "null"),
    (r#"{"downloads":[],"downloads":[]}"#, "duplicate field"),
    (
        r#"{"downloads":[{"name":"acme"#,
        "EOF while parsing a string",
    ),
    (
        r#"{"downloads":[]} x"#,
        "trailing characters at line 1 column 18",
    ),
    (r#"{"downloads":[{"name":"\ud800"}]}"#, "hex escape"),
    ("\u{feff}{}", "expected value at line 1 column 1"),
];

#[test]
fn notifications_that_are_none_are_told() {
    let rows = BODIES.map(|(body, said)| (body, post(body), 400, Warning(said)));
    let target = Target::start();
    target.check(&rows);
    let not_utf8 = b"{\"downloads\":[{\"name\":\"\xff\"}]}";
    target.check(&[
        ("a notification", post(NOTE), 200, Served("success")),
        ("a form", post("x=y"), 400, Warning(SHAPE)),
        ("not UTF-8", post(not_utf8), 400, Warning("column 24")),
    ]);
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
