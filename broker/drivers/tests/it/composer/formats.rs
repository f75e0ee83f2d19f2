//! Each format is read to the same versions.

use package_broker_core::ports::source::{Listing, Source};
use package_broker_drivers::source::{SourceLimits, composer::ComposerSource};
use sha1::{Digest, Sha1};
use sha2::Sha256;

use super::{file, names, read, survey, version, versions};
use crate::support::{
    http::Site,
    source::{composer, network, repository},
};

#[tokio::test]
async fn metadata_url_with_both_twins() {
    let site = Site::default();
    site.put("/r/packages.json", r#"{"packages":[],"metadata-url":"/r/p2/%package%.json","available-packages":["Acme/Lib","acme/empty","acme/gone","no name"]}"#)
        .put("/r/p2/acme/lib.json", &file("acme/lib", &["1.0.0", "2.0.0"]))
        .put("/r/p2/acme/lib~dev.json", &file("acme/lib", &["dev-main"]))
        .put("/r/p2/acme/empty.json", r#"{"packages":{"acme/empty":[]}}"#)
        .put("/r/p2/acme/dev~dev.json", &file("acme/dev", &["dev-x"]));
    let server = site.serve().await;
    let survey = survey(&composer(&server.url("/r/"))).await;
    assert_eq!(names(&survey), ["acme/empty", "acme/gone", "acme/lib"]);
    assert_eq!(survey.skipped.len(), 1);
    assert!(!survey.unchanged);
    assert_eq!(
        versions(&survey, "acme/lib").await,
        ["2.0.0", "1.0.0", "dev-main"]
    );
    assert!(
        read(&survey, "acme/empty", None)
            .await
            .unwrap()
            .unwrap()
            .0
            .versions
            .is_empty()
    );
    assert!(read(&survey, "acme/gone", None).await.unwrap().is_none());
    server.take_requests();
    assert!(
        read(&survey, "other/unlisted", None)
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        server.take_requests().is_empty(),
        "a name that is not available was asked for"
    );
}

#[tokio::test]
async fn minified_files_are_expanded() {
    let site = Site::default();
    let entries = r#"[{"name":"acme/lib","version":"2.0","version_normalized":"2.0.0.0","type":"library","homepage":"https://h.example","dist":{"type":"zip","url":"https://h.example/2.zip"}},
        {"version":"1.0","version_normalized":"1.0.0.0","homepage":"__unset"}]"#;
    site.put("/packages.json", r#"{"metadata-url":"p2/%package%.json"}"#)
        .put(
            "/p2/acme/lib.json",
            &format!(r#"{{"minified":"composer/2.0","packages":{{"acme/lib":{entries}}}}}"#),
        );
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(survey.listing, Listing::Unlisted);
    let (found, _) = read(&survey, "acme/lib", None).await.unwrap().unwrap();
    assert_eq!(found.versions.len(), 2);
    let old = found.versions[1].fields();
    assert_eq!(old.read::<String>("type").as_deref(), Some("library"));
    assert!(old.get("homepage").is_none());
}

#[tokio::test]
async fn lazy_providers() {
    let site = Site::default();
    site.put(
        "/packages.json",
        r#"{"packages":{},"providers-lazy-url":"/lazy/%package%.json"}"#,
    )
    .put(
        "/lazy/acme/lib.json",
        &format!(
            r#"{{"packages":{{"acme/other":[{}],"acme/lib":{{"1.0":{},"dev-main":{}}}}}}}"#,
            version("acme/other", "9.0"),
            version("acme/lib", "1.0"),
            version("acme/lib", "dev-main"),
        ),
    );
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(survey.listing, Listing::Unlisted);
    assert_eq!(versions(&survey, "acme/lib").await, ["1.0", "dev-main"]);
    assert!(read(&survey, "acme/none", None).await.unwrap().is_none());
}

#[tokio::test]
async fn hashed_providers_behind_includes() {
    let site = Site::default();
    let lib = file("acme/lib", &["1.0"]);
    let hash = hex::encode(Sha256::digest(&lib));
    let list = format!(r#"{{"providers":{{"acme/lib":{{"sha256":"{hash}"}}}}}}"#);
    let list_hash = hex::encode(Sha256::digest(&list));
    site.put("/r/packages.json", &format!(
        r#"{{"packages":[],"providers-url":"/r/p/%package%$%hash%.json","providers":{{"acme/odd":{{"sha256":"00"}}}},
            "provider-includes":{{"p/all$%hash%.json":{{"sha256":"{list_hash}"}}}}}}"#))
        .put(&format!("/r/p/all%24{list_hash}.json"), &list)
        .put(&format!("/r/p/acme/lib%24{hash}.json"), &lib)
        .put("/r/p/acme/odd%2400.json", "{}");
    let server = site.serve().await;
    let survey = survey(&composer(&server.url("/r/packages.json"))).await;
    assert_eq!(names(&survey), ["acme/lib", "acme/odd"]);
    assert_eq!(versions(&survey, "acme/lib").await, ["1.0"]);
    let odd = read(&survey, "acme/odd", None).await.unwrap_err();
    assert!(odd.to_string().contains("SHA-256"), "{odd}");
    assert!(read(&survey, "acme/none", None).await.unwrap().is_none());
}

#[tokio::test]
async fn includes_nest_and_add_up() {
    let site = Site::default();
    let inner = format!(
        r#"{{"packages":{{"acme/lib":{{"2.0":{}}}}}}}"#,
        version("acme/lib", "2.0")
    );
    let inner_hash = hex::encode(Sha1::digest(&inner));
    let outer = format!(
        r#"{{"packages":{{"acme/app":[{}]}},"includes":{{"i/inner.json":{{"sha1":"{inner_hash}"}}}}}}"#,
        version("acme/app", "3.0"),
    );
    let outer_hash = hex::encode(Sha1::digest(&outer));
    site.put("/packages.json", &format!(
        r#"{{"packages":{{"acme/lib":{{"1.0":{}}}}},"includes":{{"i/outer.json":{{"sha1":"{outer_hash}"}}}}}}"#,
        version("acme/lib", "1.0"),
    ))
    .put("/i/outer.json", &outer)
    .put("/i/inner.json", &inner);
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(names(&survey), ["acme/app", "acme/lib"]);
    assert_eq!(versions(&survey, "acme/lib").await, ["2.0", "1.0"]);
    assert_eq!(versions(&survey, "acme/app").await, ["3.0"]);
}

#[tokio::test]
async fn inline_packages_as_object_or_list() {
    let site = Site::default();
    site.put("/packages.json", &format!(
        r#"{{"packages":{{"acme/a":{{"1.0":{}}},"acme/b":[{}],"acme/none":[],"A/Bad Name":[]}}}}"#,
        version("acme/a", "1.0"), version("acme/b", "2.0"),
    ));
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(names(&survey), ["acme/a", "acme/b", "acme/none"]);
    assert_eq!(versions(&survey, "acme/a").await, ["1.0"]);
    assert_eq!(versions(&survey, "acme/b").await, ["2.0"]);
    assert_eq!(survey.skipped[0].version, "A/Bad Name");
}

#[tokio::test]
async fn partial_packages_win_over_files() {
    let site = Site::default();
    site.put(
        "/packages.json",
        &format!(
            r#"{{"packages":{{"acme/lib":{{"1.0":{}}}}},"metadata-url":"/p2/%package%.json"}}"#,
            version("acme/lib", "1.0"),
        ),
    )
    .put("/p2/acme/lib.json", &file("acme/lib", &["9.0"]));
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(versions(&survey, "acme/lib").await, ["1.0"]);
}

#[tokio::test]
async fn what_is_listed() {
    let list = r#"{"packageNames":["acme/listed","acme/lib"]}"#;
    for (keys, expected) in [
        (
            r#""available-packages":["acme/lib"],"list":"/list.json""#,
            "Names([acme/lib])",
        ),
        (
            r#""available-packages":{"0":"acme/lib"}"#,
            "Names([acme/lib])",
        ),
        (r#""available-packages":[]"#, "Unlisted"),
        (r#""list":"/list.json""#, "Names([acme/lib, acme/listed])"),
        (r#""list":"/none.json""#, "Unlisted"),
        (
            r#""available-package-patterns":["Acme/*"]"#,
            "Patterns([acme/*])",
        ),
        (
            r#""available-package-patterns":["acme/*"],"list":"/list.json""#,
            "Names([acme/lib, acme/listed])",
        ),
        (
            r#""available-package-patterns":["x/*"],"available-packages":["acme/lib"]"#,
            "Patterns([x/*, acme/lib])",
        ),
        (
            r#""available-package-patterns":["x/*"],"available-packages":["y/y"],"list":"/list.json""#,
            "Names([acme/lib, acme/listed, y/y])",
        ),
        (
            r#""available-packages":null,"available-package-patterns":false,"list":"""#,
            "Unlisted",
        ),
    ] {
        let site = Site::default();
        site.put(
            "/packages.json",
            &format!(r#"{{"metadata-url":"/p2/%package%.json",{keys}}}"#),
        )
        .put("/list.json", list);
        let server = site.serve().await;
        let survey = survey(&composer(&server.url(""))).await;
        assert_eq!(format!("{:?}", survey.listing), expected, "{keys}");
    }
}

#[tokio::test]
async fn the_public_mirror_is_not_asked_for_its_list() {
    let site = Site::default();
    site.put(
        "/packages.json",
        r#"{"metadata-url":"/p2/%package%.json","list":"/list.json"}"#,
    );
    let server = site.serve().await;
    let mut repository = repository(&server.url(""));
    repository.public = true;
    let source = ComposerSource::open(&repository, &network(SourceLimits::default())).unwrap();
    assert_eq!(
        source.survey(None).await.unwrap().listing,
        Listing::Unlisted
    );
    assert_eq!(server.take_targets(), ["/packages.json"]);
}

#[tokio::test]
async fn metadata_url_switches_the_old_schemes_off() {
    let site = Site::default();
    site.put("/packages.json", r#"{"metadata-url":"/p2/%package%.json","providers-url":"/p/%package%$%hash%.json",
        "provider-includes":{"x.json":{"sha256":"00"}},"includes":{"y.json":{"sha1":"00"}},"providers-lazy-url":"/l/%package%"}"#)
        .put("/p2/acme/lib.json", &file("acme/lib", &["1.0"]));
    let server = site.serve().await;
    let survey = survey(&composer(&server.url(""))).await;
    assert_eq!(versions(&survey, "acme/lib").await, ["1.0"]);
    assert_eq!(
        server.take_targets(),
        [
            "/p2/acme/lib.json",
            "/p2/acme/lib~dev.json",
            "/packages.json"
        ]
    );
}
