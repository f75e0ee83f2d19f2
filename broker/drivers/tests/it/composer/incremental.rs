//! A sync with nothing new costs one conditional request a document, and nothing more.

use package_broker_core::domain::metadata::Version;
use package_broker_core::ports::source::{Reading, Source, Survey};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::{file, is_unchanged, names, read, version, versions};
use crate::support::{
    http::{Answer, Request, Server, Site},
    source::{composer, known, name},
};

async fn again(source: &dyn Source, survey: &Survey) -> Survey {
    source.survey(survey.state.as_deref()).await.unwrap()
}

async fn validator(survey: &Survey, package: &str) -> String {
    read(survey, package, None)
        .await
        .unwrap()
        .unwrap()
        .1
        .unwrap()
}

/// Every request was conditional, and these are the targets.
fn all_conditional(server: &Server, expected: &[&str]) {
    let requests = server.take_requests();
    assert!(requests.iter().all(Request::is_conditional), "{requests:?}");
    let mut targets: Vec<String> = requests.into_iter().map(|request| request.target).collect();
    targets.sort();
    assert_eq!(targets, expected);
}

#[tokio::test]
async fn metadata_url_asks_each_document_once() {
    let site = Site::default();
    site.put(
        "/packages.json",
        r#"{"metadata-url":"/p2/%package%.json","list":"/list.json"}"#,
    )
    .put("/list.json", r#"{"packageNames":["acme/lib","acme/app"]}"#)
    .put("/p2/acme/lib.json", &file("acme/lib", &["1.0"]))
    .put("/p2/acme/lib~dev.json", &file("acme/lib", &["dev-main"]));
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    let validator = validator(&first, "acme/lib").await;
    server.take_requests();

    let second = again(&source, &first).await;
    assert_eq!(second.listing, first.listing);
    assert!(is_unchanged(&second, "acme/lib", &validator).await);
    all_conditional(
        &server,
        &[
            "/list.json",
            "/p2/acme/lib.json",
            "/p2/acme/lib~dev.json",
            "/packages.json",
        ],
    );

    // The state outlives any number of unchanged surveys.
    let third = again(&source, &again(&source, &second).await).await;
    assert_eq!(names(&third), ["acme/app", "acme/lib"]);
    assert_eq!(versions(&third, "acme/lib").await, ["1.0", "dev-main"]);
}

#[tokio::test]
async fn a_change_in_one_twin_keeps_the_other() {
    let site = Site::default();
    site.put("/packages.json", r#"{"metadata-url":"/p2/%package%.json"}"#)
        .put("/p2/acme/lib.json", &file("acme/lib", &["1.0"]))
        .put("/p2/acme/lib~dev.json", &file("acme/lib", &["dev-main"]));
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    let validator = validator(&first, "acme/lib").await;

    site.put("/p2/acme/lib.json", &file("acme/lib", &["1.0", "1.1"]));
    let (found, next) = read(&first, "acme/lib", Some(&validator))
        .await
        .unwrap()
        .unwrap();
    let pretty: Vec<String> = found.versions.iter().map(Version::pretty).collect();
    assert_eq!(pretty, ["1.1", "1.0", "dev-main"]);
    assert!(is_unchanged(&first, "acme/lib", &next.unwrap()).await);

    site.remove("/p2/acme/lib~dev.json");
    let (found, next) = read(&first, "acme/lib", Some(&validator))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.versions.len(), 2);
    assert!(is_unchanged(&first, "acme/lib", &next.unwrap()).await);

    site.remove("/p2/acme/lib.json");
    let gone = first
        .reader
        .read(&name("acme/lib"), &known(Some(&validator)))
        .await
        .unwrap();
    assert!(matches!(gone, Reading::Absent));
}

#[tokio::test]
async fn servers_without_dates_are_told_by_content() {
    let site = Site::default();
    site.answer(
        "/packages.json",
        Answer::ok(r#"{"metadata-url":"/p2/%package%.json"}"#),
    )
    .answer("/p2/acme/lib.json", Answer::ok(file("acme/lib", &["1.0"])));
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    let validator = validator(&first, "acme/lib").await;
    assert!(is_unchanged(&again(&source, &first).await, "acme/lib", &validator).await);
}

#[tokio::test]
async fn inline_repositories_need_only_the_root() {
    let site = Site::default();
    let root = |second: &str| {
        let (a, b) = (version("acme/a", "1.0"), version("acme/b", second));
        format!(r#"{{"packages":{{"acme/a":[{a}],"acme/b":[{b}]}}}}"#)
    };
    site.put("/packages.json", &root("1.0"));
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    let (a, b) = (
        validator(&first, "acme/a").await,
        validator(&first, "acme/b").await,
    );
    server.take_requests();

    let second = again(&source, &first).await;
    assert!(second.unchanged);
    assert_eq!(second.listing, first.listing);
    assert!(is_unchanged(&second, "acme/a", &a).await);
    all_conditional(&server, &["/packages.json"]);
    // A name that was never read is read all the same.
    assert_eq!(versions(&second, "acme/b").await, ["1.0"]);

    site.put("/packages.json", &root("2.0"));
    let third = again(&source, &second).await;
    assert!(!third.unchanged);
    assert!(is_unchanged(&third, "acme/a", &a).await);
    assert!(!is_unchanged(&third, "acme/b", &b).await);
    assert_eq!(versions(&third, "acme/b").await, ["2.0"]);
}

#[tokio::test]
async fn includes_with_a_known_hash_are_not_fetched() {
    let site = Site::default();
    let include = |text: &str| {
        let body = format!(
            r#"{{"packages":{{"acme/{text}":[{}]}}}}"#,
            version(&format!("acme/{text}"), "1.0")
        );
        (hex::encode(Sha1::digest(&body)), body)
    };
    let ((a_hash, a), (b_hash, b), (c_hash, c)) = (include("a"), include("b"), include("c"));
    let root = |second: &str| {
        format!(
            r#"{{"packages":[],"includes":{{"a.json":{{"sha1":"{a_hash}"}},"b.json":{{"sha1":"{second}"}}}}}}"#
        )
    };
    site.put("/packages.json", &root(&b_hash))
        .put("/a.json", &a)
        .put("/b.json", &b);
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    server.take_requests();
    let second = again(&source, &first).await;
    assert!(second.unchanged);
    all_conditional(&server, &["/packages.json"]);

    site.put("/packages.json", &root(&c_hash))
        .put("/b.json", &c);
    let third = again(&source, &second).await;
    assert!(!third.unchanged);
    assert_eq!(server.take_targets(), ["/b.json", "/packages.json"]);
    assert_eq!(names(&third), ["acme/a", "acme/c"]);
    assert_eq!(versions(&third, "acme/a").await, ["1.0"]);
    assert_eq!(server.take_targets(), ["/a.json"]);
}

#[tokio::test]
async fn includes_without_a_hash_are_asked_conditionally() {
    let site = Site::default();
    site.put("/packages.json", r#"{"includes":{"a.json":[]}}"#)
        .put(
            "/a.json",
            &format!(
                r#"{{"packages":{{"acme/a":[{}]}}}}"#,
                version("acme/a", "1.0")
            ),
        );
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    server.take_requests();
    assert!(again(&source, &first).await.unchanged);
    all_conditional(&server, &["/a.json", "/packages.json"]);
    site.put(
        "/a.json",
        &format!(
            r#"{{"packages":{{"acme/a":[{}]}}}}"#,
            version("acme/a", "2.0")
        ),
    );
    let third = again(&source, &first).await;
    assert!(!third.unchanged);
    assert_eq!(versions(&third, "acme/a").await, ["2.0"]);
}

#[tokio::test]
async fn hashed_providers_are_known_by_their_hash() {
    let site = Site::default();
    let lib = file("acme/lib", &["1.0"]);
    let hash = hex::encode(Sha256::digest(&lib));
    site.put("/packages.json", &format!(
        r#"{{"providers-url":"/p/%package%$%hash%.json","providers":{{"acme/lib":{{"sha256":"{hash}"}}}}}}"#
    ))
    .put(&format!("/p/acme/lib%24{hash}.json"), &lib);
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    let validator = validator(&first, "acme/lib").await;
    server.take_requests();
    let second = again(&source, &first).await;
    assert!(second.unchanged);
    assert!(is_unchanged(&second, "acme/lib", &validator).await);
    all_conditional(&server, &["/packages.json"]);
    assert_eq!(versions(&second, "acme/lib").await, ["1.0"]);
}

#[tokio::test]
async fn lazy_providers_are_asked_conditionally() {
    let site = Site::default();
    site.put(
        "/packages.json",
        r#"{"providers-lazy-url":"/p/%package%.json"}"#,
    )
    .put("/p/acme/lib.json", &file("acme/lib", &["1.0"]));
    let server = site.serve().await;
    let source = composer(&server.url(""));
    let first = source.survey(None).await.unwrap();
    let validator = validator(&first, "acme/lib").await;
    server.take_requests();
    assert!(is_unchanged(&again(&source, &first).await, "acme/lib", &validator).await);
    all_conditional(&server, &["/p/acme/lib.json", "/packages.json"]);
}

#[tokio::test]
async fn a_state_of_another_program_or_url_is_ignored() {
    let site = Site::default();
    site.put("/packages.json", r#"{"packages":[]}"#)
        .put("/r/packages.json", r#"{"packages":[]}"#);
    let server = site.serve().await;
    let state = composer(&server.url(""))
        .survey(None)
        .await
        .unwrap()
        .state
        .unwrap();
    let source = composer(&server.url("/r"));
    server.take_requests();
    for state in [
        state.as_str(),
        "",
        "null",
        "{}",
        "[1]",
        r#"{"format":99,"url":"x"}"#,
    ] {
        let survey = source.survey(Some(state)).await.unwrap();
        assert!(!survey.unchanged, "{state}");
    }
    assert!(
        server
            .take_requests()
            .iter()
            .all(|request| !request.is_conditional())
    );
}
