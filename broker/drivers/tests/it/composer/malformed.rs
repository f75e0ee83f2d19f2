//! Every way an upstream can be wrong, and what we say about it.

use package_broker_core::ports::source::{Source, SourceError};
use package_broker_drivers::source::{SourceLimits, composer::ComposerSource};

use super::{file, read, survey, version};
use crate::support::{
    http::{Answer, Site},
    source::{composer, fetch_archive, network, repository, wanted},
};

/// Why a survey of this root file is refused.
async fn refusal(root: Answer) -> String {
    let shown = format!("{root:?}");
    let site = Site::default();
    site.answer("/packages.json", root)
        .put("/ok.json", r#"{"packages":[]}"#);
    for depth in 0..12 {
        let next = depth + 1;
        site.put(
            &format!("/deep{depth}.json"),
            &format!(r#"{{"includes":{{"deep{next}.json":[]}}}}"#),
        );
    }
    let server = site.serve().await;
    let error = composer(&server.url("")).survey(None).await.err();
    let error = error.unwrap_or_else(|| panic!("{shown}: accepted"));
    let lasting = matches!(
        error,
        SourceError::Invalid { .. } | SourceError::Forbidden { .. }
    );
    assert!(lasting, "{shown}: {error:?}");
    error.to_string()
}

#[tokio::test]
async fn root_files_that_are_none() {
    for (body, expected) in [
        ("", "it is empty"),
        ("  \n", "it is empty"),
        ("<!DOCTYPE html><html>", "an HTML page"),
        ("{", "line 1 column 1"),
        ("{\"packages\": [],\n}", "line 2 column 1"),
        ("nonsense", "line 1 column"),
        ("7", "not the JSON that was expected"),
        ("\"x\"", "not the JSON that was expected"),
        ("{\"packages\":[]} {}", "trailing characters"),
        ("[]", "not the root file of a Composer repository"),
        ("{}", "not the root file of a Composer repository"),
        (
            r#"{"message":"hello"}"#,
            "not the root file of a Composer repository",
        ),
        (
            r#"{"packages":[{"name":"acme/lib"}]}"#,
            "a list where an object was expected",
        ),
        (r#"{"packages":"x"}"#, "an object, or an empty list"),
        (
            r#"{"packages":[],"includes":7}"#,
            "an object, or an empty list",
        ),
        (r#"{"metadata-url":"/p2/all.json"}"#, "no %package%"),
        (r#"{"providers-lazy-url":"/p2/all.json"}"#, "no %package%"),
    ] {
        let text = refusal(Answer::ok(body)).await;
        assert!(text.contains(expected), "{body}: {text}");
    }
    let missing = refusal(Answer::status(404)).await;
    assert!(
        missing.contains("there is no Composer repository at this address"),
        "{missing}"
    );
    assert!(refusal(Answer::status(418)).await.contains("HTTP 418"));
}

#[tokio::test]
async fn includes_that_lead_nowhere() {
    let wrong_hash = format!(r#""ok.json":{{"sha1":"{}"}}"#, "0".repeat(40));
    for (include, expected) in [
        (
            r#""gone.json":{"sha1":"00"}"#,
            "gone.json: the repository's index names this file",
        ),
        (wrong_hash.as_str(), "its SHA-1 is"),
        (r#""deep0.json":[]"#, "nest deeper than 8"),
        (
            r#""http://169.254.169.254/x":[]"#,
            "spec.egress.allowedNetworks",
        ),
        (r#""file:///etc/passwd":[]"#, "only http and https"),
    ] {
        let text = refusal(Answer::ok(format!(r#"{{"includes":{{{include}}}}}"#))).await;
        assert!(text.contains(expected), "{include}: {text}");
    }
}

#[tokio::test]
async fn roots_that_are_down_or_closed() {
    for (status, closed) in [(401, true), (403, true), (503, false)] {
        let site = Site::default();
        site.answer("/packages.json", Answer::status(status));
        let server = site.serve().await;
        let error = composer(&server.url("")).survey(None).await.err().unwrap();
        assert_eq!(
            matches!(error, SourceError::Denied { .. }),
            closed,
            "{error}"
        );
        assert_eq!(
            matches!(error, SourceError::Unavailable { .. }),
            !closed,
            "{error}"
        );
    }
}

#[tokio::test]
async fn package_files_that_are_none() {
    for (answer, expected) in [
        (Answer::ok(""), Err("it is empty")),
        (Answer::ok("<html>"), Err("an HTML page")),
        (Answer::ok("{"), Err("line 1")),
        (
            Answer::ok(r#"{"packages":{"acme/lib":[}}"#),
            Err("line 1 column 26"),
        ),
        (
            Answer::ok(r#"{"packages":{"acme/lib":"x"}}"#),
            Err("a list of versions"),
        ),
        (
            Answer::ok(r#"{"packages":[1]}"#),
            Err("a list where an object was expected"),
        ),
        (Answer::status(500), Err("HTTP 500")),
        (Answer::status(403), Err("access was denied")),
        (Answer::status(404), Ok(None)),
        (Answer::status(410), Ok(None)),
        (Answer::ok("{}"), Ok(None)),
        (Answer::ok("[]"), Ok(None)),
        (Answer::ok(r#"{"packages":[]}"#), Ok(None)),
        (Answer::ok(r#"{"packages":{"other/lib":[]}}"#), Ok(None)),
        (
            Answer::ok(r#"{"packages":{"acme/lib":[]}}"#),
            Ok(Some((0, 0))),
        ),
        (
            Answer::ok(r#"{"packages":{"acme/lib":{}},"minified":"composer/2.0"}"#),
            Ok(Some((0, 0))),
        ),
        (
            Answer::ok(r#"{"packages":{"acme/lib":["x",null,7]}}"#),
            Ok(Some((0, 3))),
        ),
        (
            Answer::ok(
                r#"{"packages":{"acme/lib":[{"version":"not a version"},{"version":"1.0","dist":{"type":"zip","url":"https://h.example/x"}}]}}"#,
            ),
            Ok(Some((1, 1))),
        ),
        (Answer::ok(file("ACME/LIB", &["1.0"])), Ok(Some((1, 0)))),
    ] {
        let shown = format!("{answer:?}");
        let site = Site::default();
        site.put("/packages.json", r#"{"metadata-url":"/p2/%package%.json"}"#)
            .answer("/p2/acme/lib.json", answer);
        let server = site.serve().await;
        let survey = survey(&composer(&server.url(""))).await;
        match (read(&survey, "acme/lib", None).await, expected) {
            (Ok(found), Ok(expected)) => {
                let counts = found.map(|(found, _)| (found.versions.len(), found.skipped.len()));
                assert_eq!(counts, expected, "{shown}");
            }
            (Err(error), Err(expected)) => {
                let error = error.to_string();
                assert!(error.contains(expected), "{shown}: {error}");
                assert!(error.contains("/p2/acme/lib.json"), "{shown}: {error}");
            }
            (found, expected) => panic!(
                "{shown}: {:?}, expected {expected:?}",
                found.map(|found| found.is_some())
            ),
        }
    }
}

#[tokio::test]
async fn a_bad_twin_is_an_error_not_a_loss() {
    let site = Site::default();
    site.put("/packages.json", r#"{"metadata-url":"/p2/%package%.json"}"#)
        .put("/p2/acme/lib.json", &file("acme/lib", &["1.0"]))
        .answer("/p2/acme/lib~dev.json", Answer::status(503));
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    let error = read(&survey, "acme/lib", None).await.unwrap_err();
    assert!(matches!(error, SourceError::Unavailable { .. }), "{error}");
}

#[tokio::test]
async fn one_bad_inline_package_is_an_error_and_leaves_the_others() {
    let site = Site::default();
    site.put(
        "/packages.json",
        &format!(
            r#"{{"packages":{{"acme/bad":"x","acme/lib":[{}]}}}}"#,
            version("acme/lib", "1.0")
        ),
    );
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    // An empty package would take the place of what was read last.
    let bad = read(&survey, "acme/bad", None).await.unwrap_err();
    assert!(matches!(bad, SourceError::Invalid { .. }), "{bad}");
    let text = bad.to_string();
    assert!(
        text.contains("/packages.json: the package acme/bad"),
        "{text}"
    );
    let (lib, _) = read(&survey, "acme/lib", None).await.unwrap().unwrap();
    assert_eq!(lib.versions.len(), 1);
}

#[tokio::test]
async fn large_documents_are_parsed_and_told_apart_too() {
    let site = Site::default();
    let many: Vec<String> = (0..3000).map(|at| format!("1.{at}.0")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let large = file("acme/large", &many);
    assert!(large.len() > 256 << 10);
    site.put("/packages.json", r#"{"metadata-url":"/p2/%package%.json"}"#)
        .answer("/p2/acme/large.json", Answer::ok(large.clone()).gzip())
        .put("/p2/acme/broken.json", &large[..large.len() - 3]);
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(
        read(&survey, "acme/large", None)
            .await
            .unwrap()
            .unwrap()
            .0
            .versions
            .len(),
        3000
    );
    let error = read(&survey, "acme/broken", None)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("line 1 column"), "{error}");
}

/// Wherever an upstream names a URL that cannot be used, the error names it without what may be secret in it.
#[tokio::test]
async fn no_error_shows_userinfo_or_a_query() {
    let urls = [
        "https://bot:hush@h.example:99999/%package%.json?token=hush",
        "https://hush@169.254.169.254/%package%.json?token=hush",
        "https://bot:hush@h.example/%package%.json?token=hush#hush",
        "file://hush@h/%package%.json?token=hush",
    ];
    let keys = ["metadata-url", "providers-lazy-url", "list", "includes"];
    for (url, key) in urls.iter().flat_map(|url| keys.map(|key| (url, key))) {
        let root = match key {
            "includes" => format!(r#"{{"includes":{{"{url}":[]}}}}"#),
            "list" => format!(r#"{{"metadata-url":"/%package%.json","list":"{url}"}}"#),
            key => format!(r#"{{"{key}":"{url}"}}"#),
        };
        let site = Site::default();
        site.put("/packages.json", &root);
        let server = site.serve().await;
        let error = match composer(&server.url("")).survey(None).await {
            Ok(survey) => read(&survey, "acme/lib", None).await.map(drop),
            Err(error) => Err(error),
        };
        let text = error.unwrap_err().to_string();
        assert!(!text.contains("hush"), "{key} {url}: {text}");
    }
    for url in urls {
        let wanted = wanted(&format!(r#"{{"type":"zip","url":"{url}"}}"#), None);
        let source = composer("http://127.0.0.1:9");
        let error = fetch_archive(&source, &wanted).await.unwrap_err();
        assert!(!error.to_string().contains("hush"), "{url}: {error}");
    }
}

#[test]
fn urls_that_cannot_work_are_refused_at_once() {
    for (url, expected) in [
        ("packages.example.com", "not an absolute http(s) URL"),
        ("/srv/repo", "not an absolute http(s) URL"),
        ("file:///srv/repo", "not an absolute http(s) URL"),
        ("ssh://git@h.example/x", "not an absolute http(s) URL"),
        ("https://", "not an absolute http(s) URL"),
        ("https://user:hush@h.example", "credentialsSecretRef"),
        ("http://169.254.169.254", "metadata"),
    ] {
        let opened = ComposerSource::open(&repository(url), &network(SourceLimits::default()));
        let error = opened.err().unwrap_or_else(|| panic!("{url} was accepted"));
        assert!(error.is_lasting(), "{url}");
        assert!(error.to_string().contains(expected), "{url}: {error}");
        assert!(!error.to_string().contains("hush"), "{url}: {error}");
    }
}
