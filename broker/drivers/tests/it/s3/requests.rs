//! What is asked of a service, and how its refusals are told.

use package_broker_core::ports::storage::Storage;
use package_broker_drivers::storage::s3::{S3Credentials, S3Options};

use super::{content, fetch, id_of, shows_no_secret, store};
use crate::support::{
    bucket::{BUCKET, TestBucket, hasty, options},
    s3::S3Server,
};

#[tokio::test]
async fn blobs_are_objects_under_their_digest() {
    let bucket = TestBucket::start();
    let content = content(1000);
    for (prefix, folder) in [
        ("", "blobs"),
        ("team/php", "team/php/blobs"),
        ("other/", "other/blobs"),
    ] {
        let storage = bucket.open_with(&S3Options {
            prefix: prefix.to_owned(),
            ..options(&bucket.server.endpoint())
        });
        storage.check().await.unwrap();
        let id = store(&storage, &content).await.unwrap();
        let hex = id.hex();
        let key = format!("{folder}/{}/{hex}", &hex[..2]);
        assert_eq!(bucket.keys(), [key.as_str()]);
        let file = bucket.server.root().join(BUCKET).join(key);
        assert!(std::fs::read(file).unwrap() == content);
        storage.remove(&id).await.unwrap();
    }
}

#[tokio::test]
async fn requests_are_signed_with_the_digest_of_what_they_carry() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    let id = store(&storage, b"content").await.unwrap();
    fetch(&storage, &id).await.unwrap().unwrap();
    let [put, get] = &bucket.server.take_requests()[..] else {
        panic!("two requests")
    };
    assert_eq!(
        put.headers["x-amz-content-sha256"],
        id.hex(),
        "services verify it"
    );
    assert!(put.headers.get("if-none-match").is_none());
    for seen in [put, get] {
        assert!(seen.headers.contains_key("authorization"));
        let agent = seen.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with("package-broker/"), "{agent}");
        assert!(
            !seen
                .headers
                .keys()
                .any(|name| name.as_str().contains("checksum"))
        );
    }
}

#[tokio::test]
async fn a_check_is_one_small_request() {
    let bucket = TestBucket::start();
    bucket.open().check().await.unwrap();
    let [seen] = &bucket.server.take_requests()[..] else {
        panic!("one request")
    };
    assert!(seen.is_listing() && seen.query.contains("max-keys=1"));
    assert!(seen.query.contains("prefix=blobs%2F"), "{}", seen.query);
}

#[tokio::test]
async fn an_object_that_was_lost_is_none_but_a_lost_bucket_is_a_failure() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    let id = store(&storage, b"content").await.unwrap();
    bucket
        .server
        .remove(&format!("{BUCKET}/{}", bucket.keys()[0]));
    assert!(storage.open(&id).await.unwrap().is_none());
    assert!(storage.size(&id).await.unwrap().is_none());
    std::fs::remove_dir_all(bucket.server.root().join(BUCKET)).unwrap();
    let said = storage.check().await.unwrap_err().to_string();
    assert!(said.contains("there is no such bucket"), "{said}");
}

#[tokio::test]
async fn wrong_options_are_told_by_the_check_and_by_every_use() {
    let bucket = TestBucket::start();
    let with = |id: &str, secret: &str| S3Options {
        credentials: S3Credentials::Static {
            access_key_id: id.to_owned(),
            secret_access_key: secret.into(),
            session_token: None,
        },
        ..hasty(&bucket.server.endpoint())
    };
    let elsewhere = S3Options {
        bucket: "elsewhere".to_owned(),
        ..hasty(&bucket.server.endpoint())
    };
    for (options, expected) in [
        (with(S3Server::KEY, "hush"), "check `secretAccessKey`"),
        (with("AKIATESTOTHER", "hush"), "`accessKeyId`"),
        (elsewhere, "there is no such bucket"),
    ] {
        let storage = bucket.open_with(&options);
        let place = format!(
            "the bucket `{}` at {}",
            options.bucket,
            bucket.server.endpoint()
        );
        let said = storage.check().await.unwrap_err().to_string();
        assert!(
            said.contains(expected) && said.contains(&place),
            "{expected}: {said}"
        );
        shows_no_secret(&said);
        // The service of the tests makes the buckets it is asked to write to.
        if options.bucket == BUCKET {
            let said = store(&storage, b"content").await.unwrap_err().to_string();
            let key = id_of(b"content").hex();
            assert!(said.contains(&key) && said.contains(&place), "{said}");
            shows_no_secret(&said);
        }
    }
    assert_eq!(bucket.keys(), [""; 0]);
}

#[tokio::test]
async fn a_service_that_is_not_there_is_told() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let scratch = tempfile::tempdir().unwrap();
    let storage =
        package_broker_drivers::storage::s3::S3::open(&hasty(&endpoint), scratch.path()).unwrap();
    let said = storage.check().await.unwrap_err().to_string();
    assert!(
        said.contains("cannot be reached") && said.contains(&endpoint),
        "{said}"
    );
    assert!(said.contains("given up after 2 retries"), "{said}");
}

#[tokio::test]
async fn a_scratch_folder_that_is_not_there_is_named() {
    let bucket = TestBucket::start();
    let scratch = bucket.scratch.path().join("missing");
    let storage = package_broker_drivers::storage::s3::S3::open(
        &options(&bucket.server.endpoint()),
        &scratch,
    )
    .unwrap();
    store(&storage, b"small").await.unwrap();
    let mut staged = storage.stage().await.unwrap();
    let chunk = bytes::Bytes::from(content(2 << 20));
    let said = staged.write(chunk.clone()).await.unwrap_err().to_string();
    assert!(said.contains("/missing"), "{said}");
    let said = staged.commit(&id_of(&chunk)).await.unwrap_err().to_string();
    assert!(said.contains("an earlier write to it failed"), "{said}");
    assert_eq!(bucket.keys().len(), 1);
}
