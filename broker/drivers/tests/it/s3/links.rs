//! Links that stand for a signature.

use std::time::Duration;

use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Linked, Links},
};

use super::{content, shows_no_secret, store};
use crate::support::bucket::TestBucket;

async fn get(url: &str) -> (u16, Vec<u8>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = client.get(url).send().await.unwrap();
    let status = answer.status().as_u16();
    (status, answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_link_fetches_its_blob_and_nothing_else() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    let content = content(70_000);
    let id = store(&storage, &content).await.unwrap();
    let other = store(&storage, b"other").await.unwrap();
    let link = storage
        .link(&id, Linked::Bytes, Duration::from_mins(5))
        .await
        .unwrap();
    assert_eq!(get(link.expose()).await, (200, content));
    let tampered = [
        link.expose().replace(&id.hex(), &other.hex()),
        link.expose()
            .replace("X-Amz-Expires=300", "X-Amz-Expires=900"),
        link.expose()
            .replace("X-Amz-Signature=", "X-Amz-Signature=0"),
        link.expose().split('?').next().unwrap().to_owned(),
    ];
    for tampered in tampered {
        assert_ne!(tampered, link.expose());
        let (status, _) = get(&tampered).await;
        assert!((400..500).contains(&status), "{status}: {tampered}");
    }
}

#[tokio::test]
async fn a_link_ends_with_its_time() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    let id = store(&storage, b"content").await.unwrap();
    let link = storage
        .link(&id, Linked::Bytes, Duration::from_secs(1))
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(get(link.expose()).await.0, 403);
}

#[tokio::test]
async fn a_link_has_a_time_that_services_accept() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    for seconds in [0, 7 * 24 * 3600 + 1] {
        let time = Duration::from_secs(seconds);
        let error = storage
            .link(&BlobId([1; 32]), Linked::Bytes, time)
            .await
            .unwrap_err();
        let said = error.to_string();
        assert!(said.contains("up to seven days"), "{said}");
        shows_no_secret(&said);
    }
}
