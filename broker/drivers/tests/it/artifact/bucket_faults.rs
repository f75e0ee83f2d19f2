//! Services that answer a bucket's requests wrongly, and what is said of it: never a secret.

use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use package_broker_core::{
    domain::repository::{BucketAccess, SourceKind},
    ports::source::{Source, SourceError},
};
use package_broker_drivers::source::{SourceLimits, artifact::ArtifactSource, http::Network};

use super::{build::package_zip, by_file, names};
use crate::support::{
    http::{Answer, Request, Server},
    source::{credentials, loopback, repository},
};

fn open(endpoint: &str) -> ArtifactSource {
    let mut repository = repository("s3://acme/php");
    repository.kind = SourceKind::Artifact;
    repository.bucket = BucketAccess {
        endpoint: Some(endpoint.to_owned()),
        ..BucketAccess::default()
    };
    repository.credentials = credentials(&[
        ("accessKeyId", "AKIATEST"),
        ("secretAccessKey", "hush"),
        ("sessionToken", "hush hush"),
    ]);
    let network = Arc::new(Network::new(Arc::new(loopback()), SourceLimits::default()));
    ArtifactSource::open(&repository, &network, &std::env::temp_dir()).unwrap()
}

/// A listing of objects by key and size, with the tag `"t"`.
fn listing(objects: &[(&str, usize)], more: &str) -> String {
    let mut text = String::from(
        r#"<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>acme</Name>"#,
    );
    for (key, size) in objects {
        write!(
            text,
            "<Contents><Key>{key}</Key><ETag>&quot;t&quot;</ETag><Size>{size}</Size>\
             <LastModified>2026-01-02T03:04:05.678Z</LastModified></Contents>"
        )
        .unwrap();
    }
    text + more + "</ListBucketResult>"
}

fn is_listing(request: &Request) -> bool {
    request.target.contains("list-type=2")
}

fn shows_no_secret(said: &str) {
    for hidden in ["hush", "X-Amz", "AKIATEST", "Signature"] {
        assert!(!said.contains(hidden), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_listing_is_a_failure_and_never_an_empty_bucket() {
    let truncated = listing(&[], "<IsTruncated>true</IsTruncated>");
    let endless = listing(
        &[],
        "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>",
    );
    let good = listing(&[("php/lib.zip", 3)], "");
    for (answer, expected) in [
        (Answer::ok(""), "no listing of S3"),
        (Answer::ok("<html>Welcome</html>"), "no listing of S3"),
        (Answer::ok("{}"), "no listing of S3"),
        (Answer::ok(b"\xff\xfe".to_vec()), "no listing of S3"),
        (Answer::ok(&good[..good.len() / 2]), "no listing of S3"),
        (Answer::ok(truncated), "no listing of S3"),
        (Answer::ok(endless), "does not come to an end"),
        (Answer::status(404), "there is no such bucket"),
        (Answer::status(403), "a listing needs s3:ListBucket"),
        (
            Answer::status(400),
            "check spec.bucket.endpoint and spec.bucket.region",
        ),
        (
            Answer::status(301),
            "check spec.bucket.endpoint and spec.bucket.region",
        ),
        (Answer::status(503), "HTTP 503"),
        (
            Answer::ok(good.as_str()).cut_after(40),
            "the connection ended after 40",
        ),
    ] {
        let server = Server::start(move |_| answer.clone()).await;
        let survey = open(&server.url("")).survey(None).await;
        let said = survey.err().map(|error| error.to_string());
        let said = said.unwrap_or_else(|| panic!("no error, but expected {expected}"));
        assert!(said.contains(expected), "{said}");
        shows_no_secret(&said);
    }
}

#[tokio::test]
async fn what_is_beyond_the_bounds_is_not_fetched() {
    let huge = listing(&[("php/huge.zip", 5 << 30)], "");
    let server = Server::start(move |_| Answer::ok(huge.as_str())).await;
    let survey = open(&server.url("")).survey(None).await.unwrap();
    assert_eq!(
        by_file(&survey.skipped),
        [("huge.zip", "it is larger than 4 GiB")]
    );
    let keys: Vec<String> = (0..=50_000)
        .map(|number| format!("php/{number}.zip"))
        .collect();
    let objects: Vec<(&str, usize)> = keys.iter().map(|key| (key.as_str(), 9)).collect();
    let many = listing(&objects, "");
    let server = Server::start(move |_| Answer::ok(many.as_str())).await;
    let error = open(&server.url("")).survey(None).await.err().unwrap();
    assert!(matches!(error, SourceError::Invalid { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains("more than 50000 archives; divide them"),
        "{error}"
    );
    assert_eq!(server.take_requests().len(), 1);
}

#[tokio::test]
async fn keys_outside_of_the_prefix_are_nobodys() {
    let text = listing(
        &[
            ("other/lib.zip", 3),
            ("php/", 0),
            ("php/sub/", 0),
            ("php", 3),
        ],
        "",
    );
    let server = Server::start(move |_| Answer::ok(text.as_str())).await;
    let survey = open(&server.url("")).survey(None).await.unwrap();
    assert_eq!((names(&survey).len(), survey.skipped.len()), (0, 0));
    assert_eq!(server.take_requests().len(), 1);
}

#[tokio::test]
async fn an_object_that_is_not_the_listed_one_waits_for_the_next_sync() {
    let bytes = package_zip("acme/lib", "1.0");
    let size = bytes.len();
    let good = || Answer::ok(bytes.clone()).header("ETag", "\"t\"");
    let dated = |date: &str| Answer::ok(bytes.clone()).header("Last-Modified", date);
    for (answer, fits) in [
        (good(), true),
        (Answer::ok(bytes.clone()).header("ETag", "W/t"), true),
        (Answer::ok(bytes.clone()), true),
        (dated("Fri, 02 Jan 2026 03:04:06 GMT"), true),
        (dated("Fri, 02 Jan 2026 03:05:05 GMT"), false),
        (Answer::ok(bytes.clone()).header("ETag", "\"u\""), false),
        (
            Answer::ok(bytes[1..].to_vec()).header("ETag", "\"t\""),
            false,
        ),
        (Answer::status(412), false),
        (Answer::status(404), false),
    ] {
        let text = listing(&[("php/lib.zip", size), ("php/other.zip", 3)], "");
        let server = Server::start(move |request| {
            if is_listing(request) {
                return Answer::ok(text.as_str());
            }
            assert_eq!(request.header("if-match"), Some("\"t\""));
            if request.target.contains("other") {
                Answer::ok("bad").header("ETag", "\"t\"")
            } else {
                answer.clone()
            }
        })
        .await;
        let survey = open(&server.url("")).survey(None).await.unwrap();
        assert_eq!(names(&survey).len(), usize::from(fits));
        let skipped = by_file(&survey.skipped);
        if !fits {
            assert_eq!(
                skipped[0],
                (
                    "lib.zip",
                    "it changed while it was read; the next sync reads it again"
                )
            );
        }
        let state = survey.state.clone().unwrap();
        assert_eq!(
            state.matches("\"etag\":\"t\"").count(),
            1 + usize::from(fits)
        );
    }
}

#[tokio::test]
async fn a_bucket_that_hands_out_nothing_fails_as_a_whole() {
    let text = listing(&[("php/a.zip", 3), ("php/b.zip", 3)], "");
    let server = Server::start(move |request| {
        if is_listing(request) {
            Answer::ok(text.as_str())
        } else {
            Answer::status(403)
        }
    })
    .await;
    let error = open(&server.url("")).survey(None).await.err().unwrap();
    assert!(matches!(error, SourceError::Denied { .. }), "{error:?}");
    shows_no_secret(&error.to_string());
}

#[tokio::test]
async fn a_service_that_breaks_off_is_given_up_soon() {
    let keys: Vec<String> = (0..40)
        .map(|number| format!("php/{number:02}.zip"))
        .collect();
    let objects: Vec<(&str, usize)> = keys.iter().map(|key| (key.as_str(), 900)).collect();
    let text = listing(&objects, "");
    let server = Server::start(move |request| {
        if is_listing(request) {
            Answer::ok(text.as_str())
        } else {
            Answer::ok(vec![b'x'; 900]).cut_after(100)
        }
    })
    .await;
    let error = open(&server.url("")).survey(None).await.err().unwrap();
    let said = error.to_string();
    assert!(
        said.contains("the connection ended after 100 of 900 bytes"),
        "{said}"
    );
    shows_no_secret(&said);
    let asked = server.take_requests().len();
    assert!(asked <= 8, "{asked}");
}

#[tokio::test]
async fn a_redirect_takes_no_signature_along() {
    let bytes = package_zip("acme/lib", "1.0");
    let object = bytes.clone();
    let other = Server::start(move |_| Answer::ok(object.clone()).header("ETag", "\"t\"")).await;
    let target = other.named_url("/elsewhere");
    let text = listing(&[("php/lib.zip", bytes.len())], "");
    let server = Server::start(move |request| {
        if is_listing(request) {
            Answer::ok(text.as_str())
        } else {
            Answer::redirect(307, &target)
        }
    })
    .await;
    let survey = open(&server.url("")).survey(None).await.unwrap();
    assert_eq!(names(&survey), ["acme/lib"]);
    for request in server.take_requests() {
        assert!(request.target.contains("X-Amz-Security-Token=hush%20hush"));
        assert!(request.target.contains("X-Amz-Expires=600"));
    }
    let [request] = &other.take_requests()[..] else {
        panic!("one request")
    };
    assert_eq!(request.target, "/elsewhere");
    for header in ["authorization", "referer", "cookie"] {
        assert_eq!(request.header(header), None);
    }
}

#[tokio::test]
async fn a_redirect_to_where_nobody_may_go_ends_the_sync() {
    let text = listing(&[("php/a.zip", 3), ("php/b.zip", 3)], "");
    let asked = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&asked);
    let server = Server::start(move |request| {
        if is_listing(request) {
            return Answer::ok(text.as_str());
        }
        seen.store(true, Ordering::SeqCst);
        Answer::redirect(302, "http://169.254.169.254/latest/meta-data/")
    })
    .await;
    let error = open(&server.url("")).survey(None).await.err().unwrap();
    assert!(matches!(error, SourceError::Forbidden { .. }), "{error:?}");
    assert!(asked.load(Ordering::SeqCst));
}
