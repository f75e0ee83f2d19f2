//! The way out over HTTP against a server that misbehaves.

mod credentials;
mod guard;
mod politeness;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use package_broker_core::{
    domain::{archive::ArchiveDefect, repository::Credentials},
    ports::source::SourceError,
};
use package_broker_drivers::source::{
    SourceLimits,
    http::{Document, Fetcher},
};
use url::Url;

use crate::support::{
    http::{Answer, Request, Server, Site},
    source::{Shelf, network},
};

fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

fn fetcher_with(base: &str, credentials: &Credentials) -> Fetcher {
    Fetcher::new(&network(SourceLimits::default()), &url(base), credentials).unwrap()
}

fn fetcher(base: &str) -> Fetcher {
    fetcher_with(base, &Credentials::default())
}

async fn body(fetcher: &Fetcher, target: &str) -> Result<Vec<u8>, SourceError> {
    match fetcher.get_document(&url(target), None).await? {
        Document::Body { bytes, .. } => Ok(bytes.to_vec()),
        other => panic!("{target}: {other:?}"),
    }
}

fn once(answer: Answer) -> impl Fn(&Request) -> Answer + Send + Sync {
    let asked = AtomicUsize::new(0);
    move |_| {
        if asked.fetch_add(1, Ordering::SeqCst) == 0 {
            answer.clone()
        } else {
            Answer::ok("later")
        }
    }
}

#[tokio::test]
async fn documents_are_asked_conditionally() {
    let site = Site::default();
    site.answer(
        "/m",
        Answer::ok("m").last_modified("Mon, 01 Jan 2024 00:00:00 GMT"),
    )
    .answer("/e", Answer::ok("e").etag("W/\"1\""))
    .answer("/gone", Answer::status(410));
    let server = site.serve().await;
    let fetcher = fetcher(&server.url("/"));
    for target in ["/m", "/e"] {
        let target = url(&server.url(target));
        let Document::Body { validator, .. } = fetcher.get_document(&target, None).await.unwrap()
        else {
            panic!("no body")
        };
        let again = fetcher
            .get_document(&target, Some(&validator))
            .await
            .unwrap();
        assert!(matches!(again, Document::NotModified));
    }
    for target in ["/gone", "/never"] {
        let missing = fetcher
            .get_document(&url(&server.url(target)), None)
            .await
            .unwrap();
        assert!(matches!(missing, Document::Missing));
    }
    let requests = server.take_requests();
    assert_eq!(requests.len(), 6);
    assert!(
        requests
            .iter()
            .all(|request| request.header("accept-encoding") == Some("gzip"))
    );
    let agent = requests[0].header("user-agent").unwrap();
    assert!(agent.starts_with("package-broker/"), "{agent}");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn gzip_is_decoded_within_the_bound() {
    let site = Site::default();
    site.answer("/small", Answer::ok("x".repeat(5000)).gzip())
        .answer("/bomb", Answer::ok("x".repeat(2 << 20)).gzip())
        .answer("/large", Answer::ok("x".repeat(2 << 20)))
        .answer(
            "/damaged",
            Answer::ok("no gzip").header("Content-Encoding", "gzip"),
        )
        .answer("/br", Answer::ok("x").header("Content-Encoding", "br"));
    let server = site.serve().await;
    let limits = SourceLimits {
        max_metadata_size: 1 << 20,
        ..SourceLimits::default()
    };
    let fetcher = Fetcher::new(
        &network(limits),
        &url(&server.url("/")),
        &Credentials::default(),
    )
    .unwrap();
    assert_eq!(
        body(&fetcher, &server.url("/small")).await.unwrap().len(),
        5000
    );
    for (target, expected) in [
        ("/bomb", "spec.limits.maxMetadataSize"),
        ("/large", "spec.limits.maxMetadataSize"),
        ("/damaged", "gzip encoding is damaged"),
        ("/br", "Content-Encoding"),
    ] {
        server.take_requests();
        let error = body(&fetcher, &server.url(target)).await.unwrap_err();
        assert!(matches!(error, SourceError::Invalid { .. }));
        assert!(error.to_string().contains(expected), "{target}: {error}");
        assert_eq!(server.take_requests().len(), 1, "{target} was tried again");
    }
}

#[tokio::test]
async fn passing_faults_are_tried_again_and_lasting_ones_are_not() {
    for (answer, tries, works) in [
        (Answer::status(503), 2, true),
        (Answer::status(500), 2, true),
        (Answer::status(423), 2, true),
        (Answer::ok("cut off").cut_after(3), 2, true),
        (Answer::ok("short").declare(500), 2, true),
        (Answer::status(429), 1, false),
        (Answer::status(401), 1, false),
        (Answer::status(403), 1, false),
        (Answer::status(418), 1, false),
        (Answer::status(204), 1, false),
        (Answer::status(304), 1, false),
    ] {
        let shown = format!("{answer:?}");
        let server = Server::start(once(answer)).await;
        let result = body(&fetcher(&server.url("/")), &server.url("/x")).await;
        assert_eq!(result.is_ok(), works, "{shown}: {result:?}");
        assert_eq!(server.take_requests().len(), tries, "{shown}");
    }
    let down = Server::start(|_| Answer::status(502)).await;
    let error = body(&fetcher(&down.url("/")), &down.url("/x?token=hush"))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("{}: HTTP 502", down.url("/x")));
    assert_eq!(down.take_requests().len(), 3);
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start(|_| Answer::ok("x").delay(Duration::from_secs(30))).await;
    let limits = SourceLimits {
        idle_timeout: Duration::from_millis(100),
        ..SourceLimits::default()
    };
    let fetcher = Fetcher::new(
        &network(limits),
        &url(&server.url("/")),
        &Credentials::default(),
    )
    .unwrap();
    let error = body(&fetcher, &server.url("/x")).await.unwrap_err();
    assert!(error.to_string().contains("silent for too long"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_an_error_that_may_pass() {
    let server = Server::start(|_| Answer::ok("x")).await;
    let target = server.url("/x");
    drop(server);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let error = body(&fetcher(&target), &target).await.unwrap_err();
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn archives_come_whole_or_not_at_all() {
    let site = Site::default();
    site.answer("/whole", Answer::ok(vec![7; 100_000]))
        .answer("/encoded", Answer::ok("zip").gzip())
        .answer("/cut", Answer::ok(vec![7; 100_000]).cut_after(60_000))
        .answer("/short", Answer::ok(vec![7; 1000]).declare(2000))
        .answer("/announced", Answer::ok("x").declare(5 << 20))
        .answer("/denied", Answer::status(403))
        .answer("/gone", Answer::status(410));
    let server = site.serve().await;
    let fetcher = fetcher(&server.url("/"));
    let shelf = Shelf::default();
    let get = async |target: &str| {
        let mut sink = shelf.sink(1 << 20);
        fetcher
            .get_archive(&url(&server.url(target)), &mut sink)
            .await
    };
    get("/whole").await.unwrap();
    assert_eq!(shelf.bytes(), vec![7; 100_000]);
    get("/encoded").await.unwrap();
    assert_eq!(&shelf.bytes()[..2], [0x1f, 0x8b]);
    let cut = get("/cut").await.unwrap_err().to_string();
    assert!(
        cut.ends_with("of 100000 bytes") && cut.contains("the connection ended after"),
        "{cut}"
    );
    let short = get("/short").await.unwrap_err().to_string();
    assert!(
        short.ends_with("the connection ended after 1000 of 2000 bytes"),
        "{short}"
    );
    let announced = get("/announced").await.unwrap_err();
    assert!(
        matches!(announced, SourceError::Defective(ArchiveDefect::TooLarge { limit }) if limit == 1 << 20)
    );
    assert!(matches!(
        get("/denied").await,
        Err(SourceError::Denied { .. })
    ));
    assert!(matches!(get("/gone").await, Err(SourceError::Gone { .. })));
    assert!(matches!(get("/never").await, Err(SourceError::Gone { .. })));
    assert!(
        server
            .take_requests()
            .iter()
            .all(|request| request.header("accept-encoding").is_none())
    );
}
