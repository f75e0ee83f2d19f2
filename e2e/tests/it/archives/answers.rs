//! How an archive is answered.

use package_broker_e2e::http::Answer;

use super::{PACKAGE, registry_over, release_large};
use crate::support::sha1_of;
use crate::support::upstream::{Upstream, archive_path};

/// Headers that say something of the archive.
fn told(answer: &Answer) -> Vec<(String, String)> {
    let other = ["date", "x-request-id", "connection"];
    let mut headers = answer.headers().to_vec();
    headers.retain(|(name, _)| !other.contains(&name.as_str()));
    headers.sort();
    headers
}

#[test]
fn archives_come_as_the_bytes_that_were_hashed() {
    let upstream = Upstream::listed();
    let zip = release_large(&upstream, "1.0.0");
    let registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let promised = registry.document("all", PACKAGE)[0]["dist"]["shasum"].clone();
    assert_eq!(promised, sha1_of(&zip));
    for accepted in ["gzip", "zstd", "deflate, gzip, br, zstd", "identity", "*"] {
        let call = registry.call("all", "GET", &path);
        let answer = call.header("Accept-Encoding", accepted).send().unwrap();
        assert_eq!(answer.status, 200, "{accepted}");
        assert_eq!(answer.header("content-encoding"), None, "{accepted}");
        assert_eq!(answer.header("content-type"), Some("application/zip"));
        let length = zip.len().to_string();
        assert_eq!(answer.header("content-length"), Some(length.as_str()));
        assert_eq!(sha1_of(&answer.body), promised, "{accepted}");
    }
}

#[test]
fn head_says_what_get_says() {
    let upstream = Upstream::listed();
    release_large(&upstream, "1.0.0");
    let place = archive_path(PACKAGE, "1.0.0");
    let registry = registry_over(&upstream);
    let path = registry.archive_of("all", PACKAGE, "1.0.0");
    let head = || registry.call("all", "HEAD", &path).send().unwrap();
    let cold = head();
    let get = registry.get("all", &path);
    let warm = head();
    for answer in [&cold, &warm] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body, b"");
        assert_eq!(told(answer), told(&get));
    }
    assert_eq!(upstream.asked(&place), 1);
    let other = path.replace(".zip", ".tar");
    let absent = registry.call("all", "HEAD", &other).send().unwrap();
    assert_eq!((absent.status, absent.body.len()), (404, 0));
}
