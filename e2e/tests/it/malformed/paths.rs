//! Paths and other targets.

use serde_json::json;

use super::Says::{Parser, Served, Warning};
use super::{Row, Target, asking, request};
use crate::support::json as json_of;
use crate::support::registry::URL;

/// GET of each target, its status and its text.
fn check<T: AsRef<str>>(table: &[(T, u16, super::Says)]) {
    let rows = table.iter().map(|(target, status, says)| {
        let target = target.as_ref();
        let what = target.get(..60).unwrap_or(target);
        (what, asking(target), *status, *says)
    });
    Target::start().check(&rows.collect::<Vec<Row<'_>>>());
}

#[test]
fn names_that_cannot_be_are_told() {
    let long = format!("/p2/globex/{}.json", "a".repeat(300));
    let longer = format!("/p2/globex/{}.json", "a".repeat(60_000));
    check(&[
        (
            "/p2/globex/lib%.json",
            404,
            Warning("\"globex/lib%\" is not a package name"),
        ),
        ("/p2/globex/lib%zz.json", 404, Warning("\"globex/lib%zz\"")),
        ("/p2/globex/lib%f.json", 404, Warning("\"globex/lib%f\"")),
        ("/p2/globex/lib%00.json", 404, Warning("\"globex/lib\0\"")),
        (
            "/p2/globex/lib%0d%0aX-Evil:%201.json",
            404,
            Warning("\"globex/lib\r\nx-evil: 1\""),
        ),
        ("/p2/globex/lib%20x.json", 404, Warning("\"globex/lib x\"")),
        ("/p2/globex/l%C3%A9.json", 404, Warning("\"globex/lé\"")),
        ("/p2/../packages.json", 404, Warning("\"../packages\"")),
        ("/p2/%2e%2e/packages.json", 404, Warning("\"../packages\"")),
        (
            "/p2/globex/..%2f..%2fetc%2fpasswd.json",
            404,
            Warning("\"globex/../../etc/passwd\""),
        ),
        ("/p2/globex%2Flib/x.json", 404, Warning("\"globex/lib/x\"")),
        (
            "/p2/globex/..\\..\\x.json",
            404,
            Warning("\"globex/..\\..\\x\""),
        ),
        ("/p2/globex/lib%5cx.json", 404, Warning("\"globex/lib\\x\"")),
        ("/p2//lib.json", 404, Warning("\"/lib\"")),
        ("/p2/globex/.json", 404, Warning("\"globex/\"")),
        ("/p2/globex/~dev.json", 404, Warning("\"globex/\"")),
        (
            "/p2/globex/lib~dev~dev.json",
            404,
            Warning("\"globex/lib~dev\""),
        ),
        (
            "/p2/globex/lib~DEV.json",
            404,
            Warning("\"globex/lib~dev\""),
        ),
        ("/p2/globex/lib.json.json", 404, Warning("it ends in .json")),
        (
            "/p2/globex/li___b.json",
            404,
            Warning("separators stand alone"),
        ),
        ("/p2/-globex/lib.json", 404, Warning("\"-globex/lib\"")),
        ("/p2/nul/lib.json", 404, Warning("device name")),
        (&long, 404, Warning("longer than 200")),
        (&longer, 404, Warning("longer than 200")),
    ]);
}

#[test]
fn bytes_that_are_no_text_are_told() {
    let long = format!("/p2/globex/%ff{}.json", "a".repeat(10_000));
    check(&[
        (
            "/p2/%ff%fe/lib.json",
            400,
            Warning("\"%ff%fe\" in the path is not UTF-8"),
        ),
        // Overlong forms of "..", and half of a surrogate pair.
        (
            "/p2/globex/%c0%ae%c0%ae.json",
            400,
            Warning("\"%c0%ae%c0%ae.json\""),
        ),
        (
            "/p2/globex/%ed%a0%80.json",
            400,
            Warning("\"%ed%a0%80.json\""),
        ),
        ("/dist/acme/lib/%ff/x.zip", 400, Warning("\"%ff\"")),
        (
            "/dist/acme/lib/1.0.0.0/%ff.zip",
            400,
            Warning("\"%ff.zip\""),
        ),
        (&long, 400, Warning("is not UTF-8")),
    ]);
}

#[test]
fn files_that_cannot_be_are_told() {
    let long = format!("/p2/globex/{}", "a".repeat(10_000));
    let reference = format!("/dist/acme/lib/1.0.0.0/{}.zip", "f".repeat(5_000));
    let version = format!("/dist/acme/lib/{}/x.zip", "9".repeat(5_000));
    check(&[
        ("/p2/globex/lib", 404, Warning("\"lib\"")),
        ("/p2/globex/lib.xml", 404, Warning("NAME.json")),
        ("/p2/globex/lib.JSON", 404, Warning("\"lib.JSON\"")),
        (
            "/p2/acme/lib.json%00.zip",
            404,
            Warning("\"lib.json\0.zip\""),
        ),
        ("/p2/globex/", 404, Warning("\"\"")),
        (&long, 404, Warning("NAME.json")),
        ("/dist/acme/lib/1.0.0.0/x.exe", 404, Warning("\"x.exe\"")),
        ("/dist/acme/lib/1.0.0.0/x", 404, Warning("REFERENCE.zip")),
        (
            "/dist/acme/lib/1.0.0.0/x.zip%00",
            404,
            Warning("\"x.zip\0\""),
        ),
        (
            "/dist/-/x/1/x.zip",
            404,
            Warning("\"-/x\" is not a package name"),
        ),
        (
            "/dist/acme/lib%00/1.0.0.0/x.zip",
            404,
            Warning("\"acme/lib\0\""),
        ),
        (
            "/dist/..%2f..%2fstorage/blobs/1/x.zip",
            404,
            Warning("\"../../storage/blobs\""),
        ),
        (
            "/dist/acme/lib/1.0.0.0/..%2f..%2fx.zip",
            404,
            Warning("no such archive"),
        ),
        (
            "/dist/acme/lib/%2e%2e/x.zip",
            404,
            Warning("no such archive"),
        ),
        ("/dist/acme/lib/%00/x.zip", 404, Warning("no such archive")),
        (
            "/dist/acme/lib/1.0.0.0/.zip",
            404,
            Warning("no such archive"),
        ),
        (&reference, 404, Warning("no such archive")),
        (&version, 404, Warning("no such archive")),
    ]);
}

#[test]
fn paths_that_lead_nowhere_are_told() {
    let deep = format!("/{}", "a/".repeat(30_000));
    check(&[
        ("/p2", 404, Warning("nothing at /p2;")),
        ("/p2/", 404, Warning("nothing at /p2/;")),
        ("/p2/acme", 404, Warning("nothing at /p2/acme;")),
        ("/p2/acme/lib.json/", 404, Warning("/p2/acme/lib.json/")),
        ("//p2/acme/lib.json", 404, Warning("//p2/acme/lib.json")),
        ("/P2/acme/lib.json", 404, Warning("/P2/acme/lib.json")),
        (
            "/p2/globex/../acme/lib.json",
            404,
            Warning("/p2/globex/../acme/lib.json"),
        ),
        ("/p2/acme%2flib.json", 404, Warning("/p2/acme%2flib.json")),
        ("/p2/acme\\lib.json", 404, Warning("/p2/acme\\lib.json")),
        ("/../../etc/passwd", 404, Warning("/../../etc/passwd")),
        ("/Packages.json", 404, Warning("/Packages.json")),
        ("/packages.json/", 404, Warning("/packages.json/")),
        ("/packages.json%00", 404, Warning("/packages.json%00")),
        (
            "/packages.json/../list.json",
            404,
            Warning("/packages.json/../list.json"),
        ),
        ("/dist/acme/lib/", 404, Warning("/dist/acme/lib/")),
        (
            "/dist/acme/lib/../../x.zip",
            404,
            Warning("/dist/acme/lib/../../x.zip"),
        ),
        (
            "/dist/acme/lib/1.0.0.0/a/b.zip",
            404,
            Warning("/dist/acme/lib/1.0.0.0/a/b.zip"),
        ),
        (
            "/teammate/packages.json",
            404,
            Warning("/teammate/packages.json"),
        ),
        (
            "/team/team/packages.json",
            404,
            Warning("/team/team/packages.json"),
        ),
        (
            "/team/../packages.json",
            404,
            Warning("/team/../packages.json"),
        ),
        ("/run.json", 404, Warning("/run.json")),
        (&deep, 404, Warning("nothing at /a/a/")),
    ]);
}

#[test]
fn targets_that_are_no_paths() {
    let too_long = format!("/p2/globex/{}.json", "a".repeat(70_000));
    let root = format!("{URL}/p2/%package%.json");
    let target = Target::start();
    target.check(&[
        ("an asterisk", asking("*"), 404, Warning("nothing at *;")),
        (
            "OPTIONS *",
            request("OPTIONS * HTTP/1.1", &[], b""),
            404,
            Warning("nothing at *;"),
        ),
        (
            "no slash",
            asking("packages.json"),
            404,
            Warning("nothing at packages.json;"),
        ),
        (
            "CONNECT",
            request("CONNECT example.com:443 HTTP/1.1", &[], b""),
            404,
            Warning("nothing at example.com:443;"),
        ),
        ("only a scheme", asking("http://"), 400, Parser),
        ("nothing", asking(""), 400, Parser),
        ("a blank", asking("/p2/acme/lib x.json"), 400, Parser),
        ("NUL", asking("/p2/acme/lib\0.json"), 400, Parser),
        ("not ASCII", asking(b"/p2/acme/lib\xff.json"), 400, Parser),
        ("too long", asking(too_long), 414, Parser),
        // URLs in answers never come from the request.
        (
            "absolute",
            asking("http://evil.example/packages.json"),
            200,
            Served("packages.example.com"),
        ),
        (
            "of another",
            asking("https://u:p@evil.example/packages.json"),
            200,
            Served("packages.example.com"),
        ),
    ]);
    let answer = target.registry.get("all", "/packages.json");
    assert_eq!(json_of(&answer)["metadata-url"], json!(root));
}

/// Names below a claim are ours also when they cannot be: no other repository is asked for them.
#[test]
fn a_claim_holds_for_names_that_cannot_be() {
    let target = Target::start();
    for (file, name) in [
        ("lib%.json", "acme/lib%"),
        ("..%2f..%2fetc.json", "acme/../../etc"),
        ("lib%00.json", "acme/lib\0"),
        ("..\\x~dev.json", "acme/..\\x"),
        (".json", "acme/"),
    ] {
        let answer = target.registry.get("all", &format!("/p2/acme/{file}"));
        assert_eq!(answer.status, 200, "{file}: {}", answer.text());
        assert_eq!(json_of(&answer)["packages"], json!({name: []}), "{file}");
    }
    for path in ["/p2/ACME/LIB.json", "/p2/Acme/Lib~dev.json"] {
        let answer = target.registry.get("all", path);
        assert!(
            json_of(&answer)["packages"]["acme/lib"].is_array(),
            "{path}"
        );
    }
    target.assert_never_failed();
}
