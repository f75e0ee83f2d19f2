//! The ways to reach a remote, and who is not let through.

use package_broker_core::{
    domain::repository::Repository,
    ports::source::{Source as _, SourceError},
};
use package_broker_drivers::source::{
    SourceLimits, egress::EgressPolicy, git::GitSource, http::Network,
};
use std::sync::Arc;
use tempfile::TempDir;

use super::refused;
use crate::support::{
    git::{Origin, Reader, git_repository, run},
    git_http,
    http::{Answer, Server},
    source::credentials,
    tls::Authority,
};

#[tokio::test(flavor = "multi_thread")]
async fn over_https_with_a_password() {
    let origin = Origin::new();
    let authority = Authority::new();
    let backend = git_http::backend(origin.path().to_owned());
    let server = Server::start_tls(authority.acceptor(), move |request| {
        match request.header("authorization") {
            // "bot:secret"
            Some("Basic Ym90OnNlY3JldA==") => backend(request),
            _ => Answer::status(401).header("WWW-Authenticate", "Basic realm=git"),
        }
    })
    .await;
    let with = |password: &str| Repository {
        credentials: credentials(&[
            ("username", "bot"),
            ("password", password),
            ("ca.crt", &authority.pem()),
        ]),
        ..git_repository(&server.url("/.git"))
    };
    assert_eq!(
        Reader::of(&with("secret")).sync().await.pretty(),
        ["dev-main"]
    );
    let error = refused(&with("hunter2")).await;
    assert!(matches!(error, SourceError::Denied { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_followed_without_credentials() {
    let origin = Origin::new();
    let target = Server::start(git_http::backend(origin.path().to_owned())).await;
    let to = target.url("");
    let server = Server::start(move |request| {
        let path = request.target.replace("/moved.git", "/.git");
        Answer::redirect(301, &format!("{to}{path}"))
    })
    .await;
    let repository = Repository {
        credentials: credentials(&[("username", "bot"), ("password", "secret")]),
        ..git_repository(&server.url("/moved.git"))
    };
    assert_eq!(Reader::of(&repository).sync().await.pretty(), ["dev-main"]);
    // The first request finds the new place, all others go there at once.
    assert_eq!(server.take_requests().len(), 1);
    let reached = target.take_requests();
    assert_eq!(reached.len(), 3);
    assert!(
        reached
            .iter()
            .all(|request| request.header("authorization").is_none())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn old_servers_are_understood() {
    let origin = Origin::new();
    origin.git(&["tag", "-a", "-m", "one", "1.0.0"]);
    let commit = origin.git(&["rev-parse", "HEAD"]);
    let server = Server::start(git_http::old_backend(origin.path().to_owned())).await;
    let reader = Reader::new(&server.url("/.git"));
    let first = reader.sync().await;
    assert_eq!(first.pretty(), ["1.0.0", "dev-main"]);
    assert_eq!(first.references()["1.0.0"], commit);
    assert!(reader.sync_after(Some(&first)).await.unwrap().unchanged);
    origin.commit("more");
    assert!(!reader.sync_after(Some(&first)).await.unwrap().unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn repositories_with_sha256_are_declined() {
    let folder = TempDir::new().unwrap();
    run(
        "git",
        folder.path(),
        &["init", "-q", "--bare", "--object-format=sha256"],
        &[],
    );
    let error = refused(&git_repository(&format!(
        "file://{}",
        folder.path().display()
    )))
    .await;
    assert!(matches!(error, SourceError::Invalid { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_repository_says_so() {
    let server = Server::start(|request| match request.target.as_str() {
        target if target.starts_with("/page") => {
            Answer::ok("<html>").header("Content-Type", "text/html")
        }
        target if target.starts_with("/odd") => Answer::ok("0000nonsense").header(
            "Content-Type",
            "application/x-git-upload-pack-advertisement",
        ),
        target if target.starts_with("/broken") => Answer::status(500),
        _ => Answer::status(404),
    })
    .await;
    let survey = async |path: &str| refused(&git_repository(&server.url(path))).await;
    for path in ["/none.git", "/page.git"] {
        let error = survey(path).await;
        assert!(matches!(error, SourceError::Invalid { .. }), "{error}");
        assert!(
            error.to_string().contains("there is no git repository"),
            "{error}"
        );
    }
    for path in ["/odd.git", "/broken.git"] {
        let error = survey(path).await;
        assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
    }
    let folder = TempDir::new().unwrap();
    let error = refused(&git_repository(&format!(
        "file://{}",
        folder.path().display()
    )))
    .await;
    assert!(
        error.to_string().contains("there is no git repository"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_stands_before_every_way() {
    let origin = Origin::new();
    let server = Server::start(git_http::backend(origin.path().to_owned())).await;
    let strict = Arc::new(Network::new(
        Arc::new(EgressPolicy::default()),
        SourceLimits::default(),
    ));
    let mirrors = TempDir::new().unwrap();
    for url in [
        origin.url(),
        server.url("/.git"),
        "https://127.0.0.1/x.git".to_owned(),
        "ssh://git@127.0.0.1/x.git".to_owned(),
        "git@169.254.169.254:x.git".to_owned(),
    ] {
        let opened = GitSource::open(&git_repository(&url), &strict, mirrors.path());
        let Err(error) = opened else {
            panic!("{url} was let through")
        };
        assert!(
            matches!(error, SourceError::Forbidden { .. }),
            "{url}: {error}"
        );
    }
    // Names are judged when they are resolved.
    for url in ["https://localhost/x.git", "git@localhost:x.git"] {
        let source = GitSource::open(&git_repository(url), &strict, mirrors.path()).unwrap();
        let error = source.survey(None).await.err().unwrap();
        assert!(
            matches!(error, SourceError::Forbidden { .. }),
            "{url}: {error}"
        );
    }
    assert!(server.take_requests().is_empty());
}
