//! Blobs beyond one request: their parts, their memory, and what remains of those that fail.

use std::{sync::Mutex, time::Duration};

use package_broker_core::ports::storage::Storage;
use package_broker_drivers::storage::s3::S3;

use super::{MIB, content, fetch, id_of, refusal, shows_no_secret, stage, store};
use crate::support::{
    bucket::{TestBucket, hasty},
    http::{Answer, Request, Server},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_blob_is_stored_in_parts_and_leaves_no_file() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    let content = content(33 * MIB + 7);
    let id = id_of(&content);
    let staged = stage(&storage, &content).await;
    let names = std::fs::read_dir(bucket.scratch.path()).unwrap().count();
    assert_eq!(names, 0, "what a killed process leaves has no name");
    assert_eq!(bucket.server.take_requests().len(), 0);
    staged.commit(&id).await.unwrap();
    let requests = bucket.server.take_requests();
    let mut parts: Vec<&str> = requests
        .iter()
        .filter_map(|seen| {
            seen.query
                .split('&')
                .find(|pair| pair.starts_with("partNumber="))
        })
        .collect();
    parts.sort_unstable();
    let expected = (1..=5).map(|number| format!("partNumber={number}"));
    assert!(parts.iter().copied().eq(expected), "{parts:?}");
    assert!(fetch(&storage, &id).await.unwrap().unwrap() == content);
    assert_eq!((bucket.keys().len(), bucket.unfinished().len()), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_large_blobs_at_once_share_the_memory_and_do_not_mix() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    let whole = content(10 * MIB);
    let stores = (0..5).map(|number| {
        let (storage, content) = (storage.clone(), &whole[number * 1000..]);
        async move {
            let id = store(&storage, content).await.unwrap();
            assert!(fetch(&storage, &id).await.unwrap().unwrap() == content);
        }
    });
    futures::future::join_all(stores).await;
    assert_eq!((bucket.keys().len(), bucket.unfinished().len()), (5, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_that_is_given_up_is_all_or_nothing() {
    let bucket = TestBucket::start();
    let storage = bucket.open();
    for polls in [1, 2, 4, 16, 64] {
        let content = content(17 * MIB + polls);
        let id = id_of(&content);
        let mut commit = stage(&storage, &content).await.commit(&id);
        for _ in 0..polls {
            let _ = futures::poll!(&mut commit);
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        drop(commit);
        let found = fetch(&storage, &id).await.unwrap();
        assert!(found.is_none_or(|found| found == content), "{polls}");
    }
    eventually(|| bucket.unfinished().is_empty()).await;
}

/// Waits, long enough for any machine.
async fn eventually(is_so: impl Fn() -> bool) {
    for _ in 0..1200 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come to be");
}

/// The steps of an upload in parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Create,
    Part(usize),
    Complete,
    Abort,
    Head,
}

fn step(request: &Request) -> Step {
    let query = request.target.split_once('?').map_or("", |parts| parts.1);
    match request.method.as_str() {
        "POST" if query.starts_with("uploads") => Step::Create,
        "POST" => Step::Complete,
        "DELETE" => Step::Abort,
        "HEAD" => Step::Head,
        _ => {
            let number = query
                .split('&')
                .find_map(|pair| pair.strip_prefix("partNumber="));
            Step::Part(number.unwrap().parse().unwrap())
        }
    }
}

fn good(step: Step) -> Answer {
    match step {
        Step::Create => Answer::ok(
            "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>",
        ),
        Step::Part(_) => Answer::ok("").header("ETag", "\"p\""),
        Step::Complete => Answer::ok(
            "<CompleteMultipartUploadResult><ETag>\"t\"</ETag></CompleteMultipartUploadResult>",
        ),
        Step::Abort => Answer::status(204),
        Step::Head => Answer::status(404),
    }
}

/// A service that answers some steps otherwise.
async fn serve(fault: impl Fn(Step) -> Option<Answer> + Send + Sync + 'static) -> Server {
    Server::start(move |request| {
        let step = step(request);
        fault(step).unwrap_or_else(|| good(step))
    })
    .await
}

fn open(server: &Server) -> S3 {
    S3::open(&hasty(&server.url("")), &std::env::temp_dir()).unwrap()
}

fn steps(server: &Server) -> Vec<Step> {
    server.take_requests().iter().map(step).collect()
}

#[tokio::test]
async fn a_part_that_fails_for_good_aborts_the_upload() {
    let content = content(26 * MIB);
    for answer in [
        Answer::status(500),
        Answer::ok(refusal("EntityTooSmall")).with_status(400),
    ] {
        let server = serve(move |step| (step == Step::Part(2)).then(|| answer.clone())).await;
        let error = store(&open(&server), &content).await.unwrap_err();
        let steps = steps(&server);
        assert_eq!(steps.last(), Some(&Step::Abort), "{steps:?}");
        assert!(!steps.contains(&Step::Complete), "{steps:?}");
        shows_no_secret(&error.to_string());
    }
}

#[tokio::test]
async fn a_part_that_fails_once_is_sent_again() {
    let failed = Mutex::new(false);
    let server = serve(move |step| {
        let mut failed = failed.lock().unwrap();
        let fails = step == Step::Part(2) && !*failed;
        *failed |= fails;
        fails.then(|| Answer::status(500))
    })
    .await;
    store(&open(&server), &content(26 * MIB)).await.unwrap();
    let steps = steps(&server);
    let sent = |number| {
        let part = Step::Part(number);
        steps.iter().filter(|step| **step == part).count()
    };
    assert_eq!([1, 2, 3, 4].map(sent), [1, 2, 1, 1]);
    assert!(!steps.contains(&Step::Abort), "{steps:?}");
}

#[tokio::test]
async fn an_upload_that_is_not_completed_is_aborted_and_an_error() {
    let content = content(9 * MIB);
    for answer in [
        Answer::status(500),
        // Services that take long answer 200 first, and fail then.
        Answer::ok(refusal("InternalError")),
        Answer::ok(refusal("InvalidPart")),
        Answer::ok(""),
    ] {
        let server = serve(move |step| (step == Step::Complete).then(|| answer.clone())).await;
        let error = store(&open(&server), &content).await.unwrap_err();
        assert_eq!(steps(&server).last(), Some(&Step::Abort));
        shows_no_secret(&error.to_string());
    }
}

#[tokio::test]
async fn an_upload_whose_last_answer_was_lost_is_seen_to_be_complete() {
    let content = content(9 * MIB);
    let size = content.len();
    let server = serve(move |step| match step {
        Step::Complete => Some(Answer::ok(refusal("NoSuchUpload")).with_status(404)),
        Step::Head => Some(Answer::ok("").declare(size)),
        _ => None,
    })
    .await;
    store(&open(&server), &content).await.unwrap();
}

#[tokio::test]
async fn an_upload_that_cannot_begin_is_an_error() {
    let server = serve(|step| {
        (step == Step::Create).then(|| Answer::ok(refusal("AccessDenied")).with_status(403))
    })
    .await;
    let storage = open(&server);
    let error = store(&storage, &content(9 * MIB)).await.unwrap_err();
    let said = error.to_string();
    assert!(said.contains("s3:PutObject"), "{said}");
    assert_eq!(steps(&server), [Step::Create]);
    drop(storage.stage().await.unwrap());
}
