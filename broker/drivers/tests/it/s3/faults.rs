//! Services that answer wrongly, late or by half.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use package_broker_core::ports::storage::Storage;
use package_broker_drivers::storage::s3::{S3, S3Options};

use super::{content, fetch, id_of, refusal, shows_no_secret, store};
use crate::support::{
    bucket::{hasty, impatient, options},
    http::{Answer, Request, Server},
};

fn open(options: &S3Options) -> S3 {
    S3::open(options, &std::env::temp_dir()).unwrap()
}

/// Answers the first requests otherwise.
async fn first(
    count: usize,
    bad: impl Fn() -> Answer + Send + Sync + 'static,
    good: impl Fn(&Request) -> Answer + Send + Sync + 'static,
) -> Server {
    let seen = AtomicUsize::new(0);
    Server::start(move |request| {
        if seen.fetch_add(1, Ordering::SeqCst) < count {
            bad()
        } else {
            good(request)
        }
    })
    .await
}

fn object(request: &Request) -> Answer {
    match request.method.as_str() {
        "GET" => Answer::ok("content").header("ETag", "\"t\""),
        "DELETE" => Answer::status(204),
        _ => Answer::ok("").header("ETag", "\"t\""),
    }
}

#[tokio::test]
async fn a_service_that_recovers_is_asked_again() {
    for status in [500, 502, 503, 504, 429] {
        let server = first(2, move || Answer::status(status), object).await;
        let storage = open(&options(&server.url("")));
        let id = store(&storage, b"content").await.unwrap();
        assert_eq!(server.take_requests().len(), 3);
        let found = fetch(&storage, &id).await.unwrap();
        assert_eq!(found.unwrap(), b"content");
        storage.remove(&id).await.unwrap();
    }
}

#[tokio::test]
async fn a_service_that_stays_broken_is_given_up() {
    let server = Server::start(|_| Answer::status(503)).await;
    let storage = open(&hasty(&server.url("")));
    let id = id_of(b"content");
    for error in [
        store(&storage, b"content").await.err().unwrap(),
        storage.open(&id).await.err().unwrap(),
        storage.remove(&id).await.err().unwrap(),
        storage.check().await.err().unwrap(),
    ] {
        let said = error.to_string();
        assert!(said.contains("HTTP 503"), "{said}");
        assert!(said.contains("given up after 2 retries"), "{said}");
        shows_no_secret(&said);
    }
    assert_eq!(server.take_requests().len(), 4 * 3);
}

#[tokio::test]
async fn refusals_are_told_without_what_they_repeat_and_not_tried_again() {
    for (status, code, expected) in [
        (403, "SignatureDoesNotMatch", "check `secretAccessKey`"),
        (403, "InvalidAccessKeyId", "check `accessKeyId`"),
        (403, "AccessDenied", "s3:ListBucket"),
        (400, "ExpiredToken", "renew the credentials"),
        (
            400,
            "AuthorizationHeaderMalformed",
            "check `region` and `endpoint`",
        ),
        (404, "NoSuchBucket", "there is no such bucket"),
        (404, "NoSuchUpload", "HTTP 404, NoSuchUpload"),
        (409, "SomethingNew", "HTTP 409, SomethingNew"),
    ] {
        let server = Server::start(move |_| Answer::ok(refusal(code)).with_status(status)).await;
        let storage = open(&options(&server.url("")));
        for error in [
            store(&storage, b"content").await.err().unwrap(),
            storage.open(&id_of(b"content")).await.err().unwrap(),
            storage.remove(&id_of(b"content")).await.err().unwrap(),
            storage.check().await.err().unwrap(),
        ] {
            let said = error.to_string();
            assert!(said.contains(expected), "{said}");
            shows_no_secret(&said);
        }
        assert_eq!(server.take_requests().len(), 4);
    }
}

#[tokio::test]
async fn only_a_service_that_knows_the_bucket_can_say_that_an_object_is_gone() {
    let id = id_of(b"content");
    let server = Server::start(|_| Answer::ok(refusal("NoSuchKey")).with_status(404)).await;
    let storage = open(&options(&server.url("")));
    assert!(storage.open(&id).await.unwrap().is_none());
    assert_eq!(storage.size(&id).await.unwrap(), None);
    storage.remove(&id).await.unwrap();
    for answer in [
        Answer::status(404),
        Answer::ok("<html>no such page</html>").with_status(404),
        Answer::redirect(301, "https://example.com/login"),
    ] {
        let server = Server::start(move |_| answer.clone()).await;
        let storage = open(&options(&server.url("")));
        let said = storage.open(&id).await.err().unwrap().to_string();
        assert!(said.contains("check `endpoint`"), "{said}");
        assert_eq!(server.take_requests().len(), 1);
        let said = storage.size(&id).await.unwrap_err().to_string();
        assert!(said.contains("check `endpoint`"), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_s3_service_is_told() {
    let server = Server::start(|_| Answer::ok("<html><p>Welcome</html>")).await;
    let storage = open(&options(&server.url("")));
    let said = storage.check().await.unwrap_err().to_string();
    assert!(said.contains("check `endpoint`"), "{said}");
}

#[tokio::test]
async fn a_silent_service_is_given_up() {
    let server = Server::start(|_| Answer::status(200).delay(Duration::from_mins(10))).await;
    let storage = open(&impatient(&server.url("")));
    let all = async {
        for error in [
            store(&storage, b"content").await.err().unwrap(),
            storage.open(&id_of(b"content")).await.err().unwrap(),
            storage.check().await.unwrap_err(),
        ] {
            let said = error.to_string();
            assert!(said.contains("did not answer in time"), "{said}");
            shows_no_secret(&said);
        }
    };
    tokio::time::timeout(Duration::from_mins(2), all)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_body_that_is_cut_for_good_ends_in_an_error() {
    let bytes = content(300_000);
    let id = id_of(&bytes);
    // The rest has another tag: it is another object.
    let tags = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |_| {
        let tag = format!("\"{}\"", tags.fetch_add(1, Ordering::SeqCst));
        Answer::ok(bytes.clone())
            .header("ETag", &tag)
            .cut_after(200_000)
    })
    .await;
    let storage = open(&hasty(&server.url("")));
    let said = fetch(&storage, &id).await.unwrap_err().to_string();
    assert!(said.contains("failed to read an object"), "{said}");
    assert!(said.contains(&id.hex()), "{said}");
    shows_no_secret(&said);
}

#[tokio::test]
async fn a_body_without_a_tag_is_not_resumed() {
    let bytes = content(300_000);
    let id = id_of(&bytes);
    let server = Server::start(move |_| Answer::ok(bytes.clone()).cut_after(200_000)).await;
    let storage = open(&hasty(&server.url("")));
    let said = fetch(&storage, &id).await.unwrap_err().to_string();
    assert!(said.contains("the connection broke"), "{said}");
    assert_eq!(server.take_requests().len(), 1);
}

#[tokio::test]
async fn a_body_that_breaks_is_resumed_where_it_broke() {
    let bytes = content(300_000);
    let id = id_of(&bytes);
    let whole = bytes.clone();
    let server = Server::start(move |request| {
        let answer = |body: &[u8]| Answer::ok(body).header("ETag", "\"t\"");
        let Some(range) = request.header("range") else {
            return answer(&whole).cut_after(100_000);
        };
        let from = range.strip_prefix("bytes=").unwrap();
        let from: usize = from.split('-').next().unwrap().parse().unwrap();
        let rest = answer(&whole[from..]).with_status(206).header(
            "Content-Range",
            &format!("bytes {from}-{}/{}", whole.len() - 1, whole.len()),
        );
        if from < 150_000 {
            rest.cut_after(100_000)
        } else {
            rest
        }
    })
    .await;
    let storage = open(&options(&server.url("")));
    let found = fetch(&storage, &id).await.unwrap().unwrap();
    assert!(found == bytes);
    assert!(server.take_requests().len() >= 3);
}

#[tokio::test]
async fn a_body_that_falls_silent_ends_in_an_error() {
    let bytes = content(1000);
    let id = id_of(&bytes);
    let server = Server::start(move |request| {
        if request.header("range").is_some() {
            return Answer::status(200).delay(Duration::from_mins(10));
        }
        Answer::ok(bytes.clone())
            .header("ETag", "\"t\"")
            .cut_after(500)
    })
    .await;
    let storage = open(&impatient(&server.url("")));
    let fetched = tokio::time::timeout(Duration::from_mins(2), fetch(&storage, &id));
    let said = fetched.await.unwrap().unwrap_err().to_string();
    assert!(said.contains("failed to read an object"), "{said}");
}
