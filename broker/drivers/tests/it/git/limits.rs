//! Bounds on what is read of a repository, and what is said of the rest.

use std::{fmt::Write as _, sync::Arc, time::Duration};

use package_broker_drivers::source::SourceLimits;
use tempfile::TempDir;

use crate::support::{
    git::{Origin, Reader, git_repository, noise, unzip},
    git_http,
    http::Server,
    log::Log,
    source::network,
};

fn reader_with(max_metadata_size: u64, origin: &Origin, mirrors: &Arc<TempDir>) -> Reader {
    let limits = SourceLimits {
        max_metadata_size,
        ..SourceLimits::default()
    };
    let repository = git_repository(&origin.url());
    Reader::within(&network(limits), &repository, Arc::clone(mirrors))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_composer_json_beyond_the_limit_is_no_version() {
    let origin = Origin::new();
    let text = format!(
        r#"{{"name":"acme/lib","archive":{{"exclude":["/docs"]}},"description":"{}"}}"#,
        "x".repeat(1000)
    );
    origin.write("docs/index.md", "x");
    let long = origin.release("1.0.0", &text);
    origin.release("1.1.0", r#"{"name":"acme/lib"}"#);
    let mirrors = Arc::new(TempDir::new().unwrap());

    let strict = reader_with(1000, &origin, &mirrors);
    let first = strict.sync().await;
    assert_eq!(first.pretty(), ["1.1.0", "dev-main"]);
    let reason = &first.skipped("1.0.0").reason;
    assert!(reason.contains("more than 1000"), "{reason}");
    // An archive is the same whatever the limit is.
    let top = format!("acme-lib-{}/", &long[..7]);
    let within = strict.archive(&long).await.unwrap();
    let files: Vec<String> = unzip(&within, &top).into_keys().collect();
    assert_eq!(files, ["composer.json"]);

    // A higher limit counts at once, though no ref moved.
    let lenient = reader_with(128 << 20, &origin, &mirrors);
    let second = lenient.sync_after(Some(&first)).await.unwrap();
    assert!(!second.unchanged);
    assert_eq!(second.pretty(), ["1.1.0", "1.0.0", "dev-main"]);
    assert_eq!(lenient.archive(&long).await.unwrap(), within);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_very_many_refs_those_that_count_are_read() {
    let origin = Origin::new();
    origin.release("1.0.0", r#"{"name":"acme/lib"}"#);
    origin.git(&["branch", "feature"]);
    origin.git(&["branch", "renovate/all"]);
    let commit = origin.git(&["rev-parse", "HEAD"]);
    let mut packed = String::from("# pack-refs with: peeled fully-peeled sorted \n");
    for number in 0..10_100 {
        writeln!(packed, "{commit} refs/tags/build-{number:05}").unwrap();
    }
    std::fs::write(origin.path().join(".git/packed-refs"), packed).unwrap();
    let reader = Reader::new(&origin.url());
    let first = reader.sync().await;
    assert_eq!(first.pretty(), ["1.0.0", "dev-main", "dev-feature"]);
    let reason = &first.skipped("branches and tags").reason;
    assert!(reason.starts_with("104 beyond the first 10000"), "{reason}");

    let second = reader.sync_after(Some(&first)).await.unwrap();
    assert!(second.unchanged);
    let moved = origin.commit("more");
    let third = reader.sync_after(Some(&second)).await.unwrap();
    assert_eq!(third.references()["dev-main"], moved);
    assert_eq!(third.references()["dev-feature"], commit);
}

#[tokio::test]
async fn a_long_clone_says_where_it_is() {
    let log = Log::start();
    let origin = Origin::new();
    origin.write("noise", &noise(100_000));
    origin.commit("noise");
    let root = origin.path().to_owned();
    let server = Server::start(move |request| {
        let answer = git_http::answer(&root, request);
        let is_fetch = String::from_utf8_lossy(&request.body).contains("command=fetch");
        let pause = if is_fetch { 2_500 } else { 0 };
        answer.delay(Duration::from_millis(pause))
    })
    .await;
    Reader::new(&server.url("/.git")).sync().await;
    let lines = log.lines();
    let line = lines
        .iter()
        .find(|line| line.contains("git sync in progress"));
    let line = line.unwrap_or_else(|| panic!("{lines:?}"));
    for field in [
        "INFO",
        "repository=",
        "received_bytes=",
        "refs_done=",
        "refs_total=",
    ] {
        assert!(line.contains(field), "{field}: {line}");
    }
}
