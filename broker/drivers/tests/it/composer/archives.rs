//! Archives come from where the metadata says, and from nowhere else.

use package_broker_core::ports::source::{Source, SourceError};
use package_broker_drivers::source::{SourceLimits, composer::ComposerSource};

use crate::support::{
    http::{Answer, Site},
    source::{composer, credentials, fetch_archive, network, repository, wanted},
};

fn dist(url: &str) -> String {
    format!(r#"{{"type":"zip","url":"{url}","reference":"abc123"}}"#)
}

#[tokio::test]
async fn credentials_go_to_the_repository_and_not_to_its_dists() {
    let (home, away) = (Site::default(), Site::default());
    home.put("/dist/a.zip", "home");
    away.put("/a.zip", "away");
    let (home, away) = (home.serve().await, away.serve().await);
    let mut repository = repository(&home.url("/r"));
    repository.credentials = credentials(&[("username", "me"), ("password", "hush")]);
    let source = ComposerSource::open(&repository, &network(SourceLimits::default())).unwrap();
    for (server, path, expected) in [(&home, "/dist/a.zip", "home"), (&away, "/a.zip", "away")] {
        let bytes = fetch_archive(&source, &wanted(&dist(&server.url(path)), None))
            .await
            .unwrap();
        assert_eq!(bytes, expected.as_bytes());
        let requests = server.take_requests();
        assert_eq!(
            requests[0].header("authorization").is_some(),
            expected == "home"
        );
    }
}

#[tokio::test]
async fn mirrors_are_tried_in_order() {
    let site = Site::default();
    site.put(
        "/packages.json",
        r#"{"packages":[],"mirrors":[
            {"dist-url":"/first/%package%/%version%/%reference%.%type%","preferred":true},
            {"dist-url":"/last/%reference%.%type%","preferred":false},
            {"git-url":"/git/%package%"}]}"#,
    )
    .put("/last/abc123.zip", "last");
    let server = site.serve().await;
    let source = composer(&server.url(""));
    source.survey(None).await.unwrap();
    let wanted = wanted(&dist(&server.url("/own.zip")), None);
    assert_eq!(fetch_archive(&source, &wanted).await.unwrap(), b"last");
    let targets: Vec<String> = server
        .take_requests()
        .into_iter()
        .map(|request| request.target)
        .collect();
    assert_eq!(
        targets,
        [
            "/packages.json",
            "/first/acme/lib/1.0.0.0/abc123.zip",
            "/own.zip",
            "/last/abc123.zip"
        ]
    );
}

#[tokio::test]
async fn mirrors_are_looked_up_only_when_the_dist_fails() {
    let site = Site::default();
    site.put(
        "/packages.json",
        r#"{"packages":[],"mirrors":[{"dist-url":"/m/%reference%.zip","preferred":true}]}"#,
    )
    .put("/m/abc123.zip", "mirror")
    .put("/own.zip", "own");
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let own = fetch_archive(&source, &wanted(&dist(&server.url("/own.zip")), None))
        .await
        .unwrap();
    assert_eq!(own, b"own");
    assert_eq!(server.take_targets(), ["/own.zip"]);
    let gone = wanted(&dist(&server.url("/gone.zip")), None);
    assert_eq!(fetch_archive(&source, &gone).await.unwrap(), b"mirror");
    let other = wanted(&dist(&server.url("/own.zip")), Some("def456"));
    assert!(matches!(
        fetch_archive(&source, &other).await,
        Err(SourceError::Gone { .. })
    ));
}

#[tokio::test]
async fn what_cannot_be_had_says_why() {
    let site = Site::default();
    site.put("/packages.json", r#"{"packages":[]}"#)
        .answer("/down.zip", Answer::status(503))
        .answer("/closed.zip", Answer::status(401))
        .answer(
            "/inside.zip",
            Answer::redirect(302, "http://169.254.169.254/"),
        );
    let server = site.serve().await;
    let source = composer(&server.url(""));
    for (url, expected) in [
        (server.url("/gone.zip"), "is gone: HTTP 404"),
        (server.url("/down.zip"), "HTTP 503"),
        (server.url("/closed.zip"), "access was denied (HTTP 401)"),
        (server.url("/inside.zip"), "metadata"),
        ("/dist/a.zip".to_owned(), "is not an absolute URL"),
        ("dist/a.zip".to_owned(), "is not an absolute URL"),
        ("file:///etc/passwd".to_owned(), "only http and https"),
        ("http://169.254.169.254/a.zip".to_owned(), "metadata"),
        (
            "http://[::ffff:169.254.169.254]/a.zip".to_owned(),
            "metadata",
        ),
    ] {
        let error = fetch_archive(&source, &wanted(&dist(&url), None))
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{url}: {error}");
    }
}

#[tokio::test]
async fn references_fill_the_url() {
    let site = Site::default();
    site.put("/d/abc123.zip", "own")
        .put("/d/def456.zip", "other");
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let dist = dist(&server.url("/d/%reference%.zip"));
    assert_eq!(
        fetch_archive(&source, &wanted(&dist, None)).await.unwrap(),
        b"own"
    );
    assert_eq!(
        fetch_archive(&source, &wanted(&dist, Some("abc123")))
            .await
            .unwrap(),
        b"own"
    );
    assert_eq!(
        fetch_archive(&source, &wanted(&dist, Some("def456")))
            .await
            .unwrap(),
        b"other"
    );
}
