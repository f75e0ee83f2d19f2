//! Archives under a prefix of a bucket, against a real S3 service.

use std::{path::Path, sync::Arc};

use package_broker_core::{
    domain::repository::{BucketAccess, Repository, SourceKind},
    ports::source::{Reading, Source, SourceError, Survey, WantedArchive},
};
use package_broker_drivers::source::{
    SourceLimits, artifact::ArtifactSource, egress::EgressPolicy, http::Network,
};
use sha1::{Digest, Sha1};
use tempfile::TempDir;

use super::{
    build::{gzip, package_tar, package_zip},
    by_file, dist, names, read, versions,
};
use crate::support::{
    s3::S3Server,
    source::{credentials, fetch_archive, known, loopback, name, repository, wanted},
};

const PHP: &str = "s3://acme/php";

/// The repository of a URL on that service, with its access key.
fn on(server: &S3Server, url: &str) -> Repository {
    let mut repository = repository(url);
    repository.kind = SourceKind::Artifact;
    repository.bucket = BucketAccess {
        endpoint: Some(server.endpoint()),
        ..BucketAccess::default()
    };
    repository.credentials = credentials(&[
        ("accessKeyId", S3Server::KEY),
        ("secretAccessKey", &format!("{}\n", S3Server::SECRET)),
    ]);
    repository
}

fn open_in(
    scratch: &Path,
    repository: &Repository,
    policy: EgressPolicy,
) -> Result<ArtifactSource, SourceError> {
    let network = Arc::new(Network::new(Arc::new(policy), SourceLimits::default()));
    ArtifactSource::open(repository, &network, scratch)
}

/// A source with the folder it puts objects aside in.
struct Opened {
    source: ArtifactSource,
    scratch: TempDir,
}

fn open(repository: &Repository) -> Opened {
    let scratch = tempfile::tempdir().unwrap();
    let source = open_in(&scratch.path().join("cache"), repository, loopback()).unwrap();
    Opened { source, scratch }
}

impl Opened {
    async fn survey(&self, before: Option<&Survey>) -> Survey {
        let previous = before.and_then(|survey| survey.state.as_deref());
        self.source.survey(previous).await.unwrap()
    }

    async fn fails(&self) -> SourceError {
        self.source.survey(None).await.err().unwrap()
    }
}

/// What the reader of a survey would serve of a package.
async fn wanted_of(survey: &Survey, package: &str, version: &str) -> WantedArchive {
    let found = read(survey, package).await;
    let fields = found
        .versions
        .iter()
        .find(|fields| fields.read::<String>("version").as_deref() == Some(version))
        .unwrap();
    let reference = dist(fields).reference;
    wanted(fields.get("dist").unwrap().text(), reference.as_deref())
}

#[tokio::test]
async fn archives_under_a_prefix_are_found() {
    let server = S3Server::start();
    let zip = package_zip("acme/lib", "1.0");
    server.put("acme/php/lib-1.zip", &zip);
    server.put(
        "acme/php/team/deeper/lib-2.tar.gz",
        &gzip(&package_tar("acme/lib", "2.0")),
    );
    server.put("acme/php/kit.tar", &package_tar("acme/kit", "1.0"));
    server.put(
        "acme/php/odd #1 50%+ü?.zip",
        &package_zip("acme/odd", "1.0"),
    );
    server.put("acme/php/bad.zip", b"PK but no more");
    server.put("acme/php/packed.tar.xz", b"x");
    server.put("acme/php/notes.txt", b"x");
    for unseen in [
        "acme/other/lib.zip",
        "acme/php-old/lib.zip",
        "acme/lib.zip",
        "acme/php/.upload.zip",
        "acme/php/.parts/lib.zip",
        "other/php/lib.zip",
    ] {
        server.put(unseen, &package_zip("acme/unseen", "1.0"));
    }
    for url in [PHP, "s3://acme/php/"] {
        let opened = open(&on(&server, url));
        let survey = opened.survey(None).await;
        assert_eq!(
            names(&survey),
            ["acme/kit", "acme/lib", "acme/odd"],
            "{:?}",
            survey.skipped
        );
        assert_eq!(versions(&survey, "acme/lib").await, ["2.0", "1.0"]);
        let skipped = by_file(&survey.skipped);
        assert_eq!(
            skipped.iter().map(|(file, _)| *file).collect::<Vec<_>>(),
            ["bad.zip", "packed.tar.xz"]
        );
        assert!(skipped[0].1.contains("not a readable zip"), "{skipped:?}");
        let found = read(&survey, "acme/lib").await;
        let dist = dist(&found.versions[0]);
        let sha1 = Some(hex::encode(Sha1::digest(&zip)));
        assert_eq!(
            (
                dist.kind.as_str(),
                dist.url.as_str(),
                dist.reference,
                dist.shasum
            ),
            ("zip", "s3:lib-1.zip", sha1.clone(), sha1)
        );
        let odd = wanted_of(&survey, "acme/odd", "1.0").await;
        let bytes = fetch_archive(&opened.source, &odd).await.unwrap();
        assert!(bytes == package_zip("acme/odd", "1.0"));
        let left = std::fs::read_dir(opened.scratch.path().join("cache")).unwrap();
        assert_eq!(left.count(), 0);
    }
}

#[tokio::test]
async fn a_whole_bucket_is_read_page_by_page() {
    let server = S3Server::start();
    for number in 0..7 {
        let bytes = package_zip("acme/lib", &format!("1.{number}"));
        server.put(&format!("acme/{number}/lib.zip"), &bytes);
    }
    server.page(2);
    let opened = open(&on(&server, "s3://acme"));
    let survey = opened.survey(None).await;
    assert_eq!(versions(&survey, "acme/lib").await.len(), 7);
    assert_eq!(server.take_counts(), (4, 7));
    assert!(opened.survey(Some(&survey)).await.unchanged);
    assert_eq!(server.take_counts(), (4, 0));
}

#[tokio::test]
async fn nothing_is_fetched_twice() {
    let server = S3Server::start();
    for number in 0..5 {
        let bytes = package_zip("acme/lib", &format!("1.{number}"));
        server.put(&format!("acme/php/{number}.zip"), &bytes);
    }
    server.put("acme/php/bad.zip", b"bad");
    let repository = on(&server, PHP);
    let opened = open(&repository);
    let first = opened.survey(None).await;
    let found = read(&first, "acme/lib").await;
    assert_eq!(found.versions.len(), 5);
    assert_eq!(server.take_counts(), (1, 6));
    for source in [&opened, &open(&repository)] {
        let again = source.survey(Some(&first)).await;
        assert!(again.unchanged);
        assert_eq!(again.state, first.state);
        let reading = again
            .reader
            .read(&name("acme/lib"), &known(found.validator.as_deref()))
            .await;
        assert!(matches!(reading, Ok(Reading::Unchanged)));
        assert_eq!(server.take_counts(), (1, 0));
    }
}

#[tokio::test]
async fn a_sync_that_was_ended_goes_on_where_it_was() {
    let server = S3Server::start();
    for number in 0..5 {
        let bytes = package_zip("acme/lib", &format!("1.{number}"));
        server.put(&format!("acme/php/{number}.zip"), &bytes);
    }
    let opened = open(&on(&server, PHP));
    opened.survey(None).await;
    assert_eq!(server.take_counts(), (1, 5));
    // Nothing of it was stored, so the state is that of before.
    server.put("acme/php/1.zip", &package_zip("acme/lib", "2.0"));
    let survey = opened.survey(None).await;
    assert_eq!(
        versions(&survey, "acme/lib").await,
        ["2.0", "1.4", "1.3", "1.2", "1.0"]
    );
    assert_eq!(server.take_counts(), (1, 1));
}

#[tokio::test]
async fn changed_and_removed_objects_are_seen() {
    for tags in [true, false] {
        let server = S3Server::start();
        if !tags {
            server.without_tags();
        }
        for number in 0..3 {
            let bytes = package_zip("acme/lib", &format!("1.{number}"));
            server.put(&format!("acme/php/{number}.zip"), &bytes);
        }
        let opened = open(&on(&server, PHP));
        let first = opened.survey(None).await;
        let old = wanted_of(&first, "acme/lib", "1.1").await;
        let removed = wanted_of(&first, "acme/lib", "1.2").await;
        assert!(fetch_archive(&opened.source, &old).await.is_ok());
        server.take_requests();
        // As large as the one before.
        server.put("acme/php/1.zip", &package_zip("acme/lib", "3.0"));
        server.remove("acme/php/2.zip");
        if tags {
            for gone in [&old, &removed] {
                let error = fetch_archive(&opened.source, gone).await.unwrap_err();
                assert!(matches!(error, SourceError::Gone { .. }), "{error:?}");
                assert!(error.to_string().contains("since the last sync"), "{error}");
            }
            assert_eq!(server.take_counts(), (0, 2));
        }
        let second = opened.survey(Some(&first)).await;
        assert!(!second.unchanged);
        assert_eq!(server.take_counts(), (1, 1));
        assert_eq!(versions(&second, "acme/lib").await, ["3.0", "1.0"]);
        let new = wanted_of(&second, "acme/lib", "3.0").await;
        let bytes = fetch_archive(&opened.source, &new).await.unwrap();
        assert!(bytes == package_zip("acme/lib", "3.0"));
    }
}

#[tokio::test]
async fn an_archive_is_asked_for_as_it_was_surveyed() {
    let server = S3Server::start();
    let bytes = package_zip("acme/lib", "1.0");
    server.put("acme/php/lib.zip", &bytes);
    let repository = on(&server, PHP);
    let opened = open(&repository);
    let survey = opened.survey(None).await;
    let wanted = wanted_of(&survey, "acme/lib", "1.0").await;
    // Without a survey, as after a start, there is no condition; the core compares the checksum.
    for (source, conditional) in [(&opened, true), (&open(&repository), false)] {
        server.take_requests();
        assert!(fetch_archive(&source.source, &wanted).await.unwrap() == bytes);
        let [seen] = &server.take_requests()[..] else {
            panic!("one request")
        };
        assert_eq!(seen.path, "/acme/php/lib.zip");
        assert_eq!(seen.headers.contains_key("if-match"), conditional);
        assert!(seen.query.contains("X-Amz-Signature="), "{}", seen.query);
        assert!(!seen.headers.contains_key("authorization"));
    }
    let mut other = wanted;
    other.reference = Some("ff".to_owned());
    let error = fetch_archive(&opened.source, &other).await.unwrap_err();
    assert!(matches!(error, SourceError::Gone { .. }), "{error:?}");
}

#[tokio::test]
async fn keys_decide_what_may_be_read() {
    let server = S3Server::start();
    for bucket in ["acme", S3Server::PUBLIC] {
        let path = format!("{bucket}/php/lib.zip");
        server.put(&path, &package_zip("acme/lib", "1.0"));
    }
    for pairs in [
        &[("accessKeyId", S3Server::KEY), ("secretAccessKey", "hush")][..],
        &[
            ("accessKeyId", "HUSH"),
            ("secretAccessKey", S3Server::SECRET),
        ],
        &[],
        // No login of http is one of S3.
        &[("username", S3Server::KEY), ("password", S3Server::SECRET)],
    ] {
        let mut repository = on(&server, PHP);
        repository.credentials = credentials(pairs);
        let error = open(&repository).fails().await;
        assert!(matches!(error, SourceError::Denied { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("a listing needs s3:ListBucket"), "{said}");
        for hidden in ["hush", "HUSH", "X-Amz", S3Server::SECRET, S3Server::KEY] {
            assert!(!said.contains(hidden), "{said}");
        }
        for seen in server.take_requests() {
            assert!(!seen.headers.contains_key("authorization"), "{pairs:?}");
        }
    }
    let mut repository = on(&server, "s3://public/php");
    repository.credentials = credentials(&[]);
    let opened = open(&repository);
    assert_eq!(names(&opened.survey(None).await), ["acme/lib"]);
    for seen in server.take_requests() {
        assert!(!seen.query.contains("X-Amz"), "{}", seen.query);
    }
    let missing = open(&on(&server, "s3://nobody/php")).fails().await;
    assert!(
        matches!(missing, SourceError::Unavailable { .. }),
        "{missing:?}"
    );
    assert!(
        missing.to_string().contains("there is no such bucket"),
        "{missing}"
    );
}

#[tokio::test]
async fn an_empty_prefix_has_nothing() {
    let server = S3Server::start();
    server.put("acme/other/lib.zip", &package_zip("acme/lib", "1.0"));
    let survey = open(&on(&server, PHP)).survey(None).await;
    assert_eq!(names(&survey), <[&str; 0]>::default());
}

#[tokio::test]
async fn the_guard_judges_the_endpoint() {
    let server = S3Server::start();
    let repository = on(&server, PHP);
    let http = EgressPolicy {
        allow_http: true,
        ..EgressPolicy::default()
    };
    let loopback_only = EgressPolicy {
        allow_http: false,
        ..loopback()
    };
    for (policy, expected) in [
        (http, "spec.egress.allowedNetworks"),
        (loopback_only, "spec.egress.allowHttp"),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let error = open_in(scratch.path(), &repository, policy).err().unwrap();
        assert!(matches!(error, SourceError::Forbidden { .. }), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(server.take_requests().len(), 0);
}

#[tokio::test]
async fn half_a_key_is_no_key() {
    let server = S3Server::start();
    for (pairs, missing) in [
        (&[("accessKeyId", "hush")][..], "secretAccessKey"),
        (&[("secretAccessKey", "hush")], "accessKeyId"),
        (&[("sessionToken", "hush")], "accessKeyId"),
    ] {
        let mut repository = on(&server, PHP);
        repository.credentials = credentials(pairs);
        let scratch = tempfile::tempdir().unwrap();
        let error = open_in(scratch.path(), &repository, loopback())
            .err()
            .unwrap();
        assert!(
            matches!(error, SourceError::Misconfigured { .. }),
            "{error:?}"
        );
        let said = error.to_string();
        assert!(said.contains(&format!("lacks {missing}")), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[tokio::test]
async fn what_cannot_be_fetched_for_now_stops_nothing() {
    let server = S3Server::start();
    server.put("acme/php/a.zip", &package_zip("acme/lib", "1.0"));
    server.put("acme/php/b.zip", &package_zip("acme/lib", "2.0"));
    server.fail(&["php/b.zip"]);
    let opened = open(&on(&server, PHP));
    let first = opened.survey(None).await;
    assert_eq!(versions(&first, "acme/lib").await, ["1.0"]);
    let [(file, reason)] = by_file(&first.skipped)[..] else {
        panic!("{:?}", first.skipped)
    };
    assert_eq!(file, "b.zip");
    assert!(
        reason.starts_with("it could not be fetched: http://127.0.0.1"),
        "{reason}"
    );
    assert!(
        reason.ends_with("HTTP 500; the next sync tries again"),
        "{reason}"
    );
    assert!(!reason.contains("X-Amz"), "{reason}");
    server.fail(&[]);
    let second = opened.survey(Some(&first)).await;
    assert_eq!(by_file(&second.skipped), []);
    assert_eq!(versions(&second, "acme/lib").await, ["2.0", "1.0"]);
    // What was a package stays one while its new content cannot be fetched.
    server.put("acme/php/b.zip", &package_zip("acme/lib", "3.0"));
    server.fail(&["php/b.zip"]);
    let third = opened.survey(Some(&second)).await;
    assert_eq!(names(&third), ["acme/lib"]);
    assert!(
        third.skipped[0]
            .reason
            .ends_with("what it held before stays"),
        "{:?}",
        third.skipped
    );
    server.fail(&["php/a.zip", "php/b.zip"]);
    let nothing = opened.fails().await;
    assert!(
        matches!(nothing, SourceError::Unavailable { .. }),
        "{nothing:?}"
    );
}
