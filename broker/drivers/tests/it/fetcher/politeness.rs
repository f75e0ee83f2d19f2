//! How many requests a host gets at once, and when it gets none.

use std::time::{Duration, Instant};

use package_broker_core::{domain::repository::Credentials, ports::source::SourceError};
use package_broker_drivers::source::{SourceLimits, http::Fetcher};

use super::{body, fetcher, once, url};
use crate::support::{
    http::{Answer, Server, Site},
    source::{Shelf, network},
};

#[tokio::test]
async fn retry_after_is_honoured_for_the_whole_host() {
    let server = Server::start(once(Answer::status(429).header("Retry-After", "1"))).await;
    let network = network(SourceLimits::default());
    let base = url(&server.url("/"));
    let first = Fetcher::new(&network, &base, &Credentials::default()).unwrap();
    let second = Fetcher::new(&network, &base, &Credentials::default()).unwrap();
    let started = Instant::now();
    let (one, two) = (server.url("/one"), server.url("/two"));
    let later = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        body(&second, &two).await
    };
    let (one, two) = tokio::join!(body(&first, &one), later);
    assert_eq!(
        (one.unwrap(), two.unwrap()),
        (b"later".to_vec(), b"later".to_vec())
    );
    assert!(started.elapsed() >= Duration::from_millis(950));
    assert_eq!(server.take_requests().len(), 3);
}

#[tokio::test]
async fn a_host_that_asks_for_a_long_pause_is_not_asked_before_it_has_passed() {
    for status in [429, 503] {
        let long = Server::start(move |request| match request.target.as_str() {
            "/first" => Answer::status(status).header("Retry-After", "60"),
            _ => Answer::ok("x"),
        })
        .await;
        let other = Server::start(|_| Answer::ok("x")).await;
        let network = network(SourceLimits::default());
        let fetchers = [&long, &other].map(|server| {
            Fetcher::new(&network, &url(&server.url("/")), &Credentials::default()).unwrap()
        });
        let error = body(&fetchers[0], &long.url("/first")).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_mins(1)));
        assert_eq!(long.take_requests().len(), 1);

        let started = Instant::now();
        let shelf = Shelf::default();
        let mut sink = shelf.sink(1 << 20);
        let target = url(&long.url("/second?token=hush"));
        let document = body(&fetchers[1], target.as_str()).await.unwrap_err();
        let archive = fetchers[1]
            .get_archive(&target, &mut sink)
            .await
            .unwrap_err();
        for error in [document, archive] {
            assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
            let left = error.retry_after().unwrap();
            assert!(
                left > Duration::from_secs(30) && left <= Duration::from_mins(1),
                "{left:?}"
            );
            let text = error.to_string();
            assert!(text.contains("asked to be left alone for"), "{text}");
            assert!(!text.contains("hush"), "{text}");
        }
        assert!(started.elapsed() < Duration::from_secs(5));
        assert!(long.take_requests().is_empty());
        body(&fetchers[1], &other.url("/x")).await.unwrap();
    }
}

#[tokio::test]
async fn a_pause_of_years_is_taken_for_an_hour() {
    let server = Server::start(|_| Answer::status(503).header("Retry-After", "4000000000")).await;
    let error = body(&fetcher(&server.url("/")), &server.url("/x"))
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_hours(1)));
}

#[tokio::test]
async fn a_host_is_asked_so_many_times_at_once_over_all_repositories() {
    let server = Server::start(|_| Answer::ok("x").delay(Duration::from_millis(20))).await;
    let network = network(SourceLimits {
        per_host: 3,
        ..SourceLimits::default()
    });
    let base = url(&server.url("/"));
    let fetchers: Vec<Fetcher> = (0..4)
        .map(|_| Fetcher::new(&network, &base, &Credentials::default()).unwrap())
        .collect();
    let target = server.url("/x");
    let asked = (0..40).map(|at| body(&fetchers[at % 4], &target));
    for result in futures::future::join_all(asked).await {
        result.unwrap();
    }
    assert_eq!(server.most_active(), 3);
}

#[tokio::test]
async fn archives_on_their_way_leave_room_for_metadata_and_are_bounded_too() {
    let site = Site::default();
    site.answer("/a.zip", Answer::ok(vec![7; 1000]))
        .answer("/x", Answer::ok("x"));
    let server = site.serve().await;
    let network = network(SourceLimits {
        per_host: 2,
        ..SourceLimits::default()
    });
    let base = url(&server.url("/"));
    let fetcher = Fetcher::new(&network, &base, &Credentials::default()).unwrap();
    let archive = url(&server.url("/a.zip"));
    let open = || fetcher.open_archive(&archive, 1 << 20);
    let (first, second) = (open().await.unwrap(), open().await.unwrap());

    body(&fetcher, &server.url("/x")).await.unwrap();
    let third = tokio::time::timeout(Duration::from_millis(300), open()).await;
    assert!(third.is_err(), "a third archive at once");
    drop(first);
    open().await.unwrap();
    drop(second);
}
