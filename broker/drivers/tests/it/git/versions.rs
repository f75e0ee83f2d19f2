//! Tags and branches as versions (protocol B.1).

use package_broker_core::{
    domain::{repository::Repository, selection::RefPattern},
    ports::source::{Source as _, SourceError},
};

use crate::support::git::{Origin, Reader, git_repository};

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_branches_become_versions() {
    let origin = Origin::empty();
    let one = origin.release("v1.0.0", r#"{"name":"acme/lib","require":{"php":">=7.4"}}"#);
    let beta = origin.release(
        "2.0.0-beta.2",
        r#"{"name":"acme/lib","version":"v2.0.0-beta2"}"#,
    );
    let renamed = origin.release("release-2.0.0", r#"{"name":"acme/other"}"#);
    let annotated = origin.commit("annotated");
    origin.git(&["tag", "-a", "-m", "a release", "2.1"]);
    origin.git(&["branch", "2.x"]);
    origin.git(&["branch", "v3"]);
    origin.git(&["branch", "feature/one#two"]);
    origin.git(&["branch", "renovate/everything"]);
    origin.write(
        "composer.json",
        r#"{"name":"acme/lib","version":"9.9","extra":{"branch-alias":{"dev-main":"2.2.x-dev"}},"scripts":{"x":"y"},
            "autoload-dev":{"psr-4":{}},"published-time":"2001-01-01T00:00:00+00:00","time":"2001-01-01"}"#,
    );
    let main = origin.commit("main");

    let synced = Reader::new(&origin.url()).sync().await;

    assert_eq!(synced.name.as_str(), "acme/lib");
    let mut expected: Vec<(&str, &str)> = vec![
        ("v1.0.0", &one),
        ("v2.0.0-beta2", &beta),
        ("2.0.0", &renamed),
        ("2.1", &annotated),
        ("2.x-dev", &annotated),
        ("v3.x-dev", &annotated),
        ("dev-feature/one+two", &annotated),
        ("dev-main", &main),
    ];
    expected.sort_unstable();
    let found = synced.references();
    assert_eq!(
        found
            .iter()
            .map(|(version, commit)| (version.as_str(), commit.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
    // Branches of bots are counted, and nothing else is left out.
    let skipped = &synced.versions.skipped;
    assert_eq!(skipped.len(), 1, "{skipped:?}");
    let reason = &synced.skipped("branches of bots").reason;
    assert!(
        reason.ends_with("not read: renovate/everything"),
        "{reason}"
    );

    let text = serde_json::to_string(synced.version("dev-main").fields()).unwrap();
    let url = origin.path().display();
    assert_eq!(
        text,
        format!(
            r#"{{"name":"acme/lib","version":"dev-main","version_normalized":"dev-main","source":{{"type":"git","url":"{url}","reference":"{main}"}},"dist":{{"type":"zip","url":"git:{main}","reference":"{main}"}},"extra":{{"branch-alias":{{"dev-main":"2.2.x-dev"}}}},"time":"2023-11-14T22:18:20+00:00","default-branch":true}}"#
        )
    );
    for version in ["2.x-dev", "2.1", "v1.0.0"] {
        assert!(
            synced
                .version(version)
                .fields()
                .get("default-branch")
                .is_none(),
            "{version}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_refs_are_skipped_and_the_rest_is_there() {
    let origin = Origin::new();
    let good = r#"{"name":"acme/lib"}"#;
    origin.release("1.0.0", good);
    let refuse = |tag: &str, manifest: &str| origin.release(tag, manifest);
    refuse("1.0.1", "{\"name\":");
    refuse("1.0.2", "");
    refuse("1.0.3", "[]x");
    refuse("1.0.4", r#"{"name":"acme/lib","version":"1.0.5"}"#);
    refuse("1.0.5", r#"{"name":"acme/lib","version":"latest"}"#);
    refuse("1.0.6", r#"{"name":"acme/lib","version":7}"#);
    refuse("1.0.7", r#"{"name":"acme/lib","require":{"php":">>8"}}"#);
    refuse("1.0.8", r#"{"name":"acme/lib","require":"php"}"#);
    refuse(
        "1.0.9",
        &format!(
            r#"{{"name":"acme/lib","description":"{}"}}"#,
            "x".repeat(1 << 20)
        ),
    );
    refuse("v1.0.0", good);
    refuse("nightly", good);
    refuse("3.0.x-dev", good);
    refuse("dev-x", good);
    std::fs::remove_file(origin.path().join("composer.json")).unwrap();
    origin.commit("none");
    origin.git(&["tag", "1.1.0"]);
    std::os::unix::fs::symlink("/etc/passwd", origin.path().join("composer.json")).unwrap();
    origin.commit("link");
    origin.git(&["tag", "1.1.1"]);
    std::fs::remove_file(origin.path().join("composer.json")).unwrap();
    origin.write("composer.json/x", "");
    origin.commit("folder");
    origin.git(&["tag", "1.1.2"]);
    let tree = origin.git(&["rev-parse", "HEAD^{tree}"]);
    origin.git(&["tag", "1.1.3", &tree]);
    let blob = origin.git(&["hash-object", "-w", "composer.json/x"]);
    origin.git(&["tag", "-a", "-m", "blob", "1.1.4", &blob]);
    std::fs::remove_dir_all(origin.path().join("composer.json")).unwrap();
    origin.write("composer.json", good);
    origin.commit("good");
    origin.git(&["branch", "a|b"]);

    let synced = Reader::new(&origin.url()).sync().await;

    assert_eq!(synced.pretty(), ["1.0.0", "dev-main"]);
    for (tag, reason) in [
        ("1.0.1", "composer.json: EOF"),
        ("1.0.2", "composer.json: EOF"),
        ("1.0.3", "composer.json: trailing"),
        ("1.0.4", "declares version \"1.0.5\""),
        ("1.0.5", "latest"),
        ("1.0.6", "not a string"),
        ("1.0.7", "not a version constraint"),
        ("1.0.8", "not a map"),
        ("1.0.9", "more than 1048576"),
        ("v1.0.0", "\"1.0.0\" means the same version"),
        ("nightly", "nightly"),
        ("3.0.x-dev", "dev"),
        ("dev-x", "dev"),
        ("1.1.0", "there is no composer.json"),
        ("1.1.1", "not a file"),
        ("1.1.2", "not a file"),
        ("1.1.3", "names a tree"),
        ("1.1.4", "names a blob"),
        ("dev-a|b", "cannot be a version"),
    ] {
        let skipped = synced.skipped(tag);
        assert!(skipped.reason.contains(reason), "{tag}: {}", skipped.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_in_a_folder() {
    let origin = Origin::new();
    origin.write("packages/tool/composer.json", r#"{"name":"acme/tool"}"#);
    let commit = origin.commit("tool");
    origin.git(&["tag", "1.0.0"]);
    let at = |path: &str| Repository {
        path: Some(path.to_owned()),
        ..git_repository(&origin.url())
    };

    let synced = Reader::of(&at("packages/tool/")).sync().await;
    assert_eq!(synced.name.as_str(), "acme/tool");
    assert_eq!(synced.references()["1.0.0"], commit);

    let error = Reader::of(&at("packages/none"))
        .source
        .survey(None)
        .await
        .err()
        .unwrap();
    assert!(
        error
            .to_string()
            .contains("there is no packages/none/composer.json"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_wanted_is_read_and_fetched() {
    let origin = Origin::new();
    let released = origin.release("v1.0.0", r#"{"name":"acme/lib"}"#);
    origin.git(&["checkout", "-q", "-b", "feature/a"]);
    origin.write("composer.json", r#"{"name":"acme/lib","type":"project"}"#);
    let unwanted = origin.commit("feature");
    origin.git(&["checkout", "-q", "main"]);
    let repository = Repository {
        refs: vec![RefPattern::new("refs/tags/v*")],
        ..git_repository(&origin.url())
    };
    let reader = Reader::of(&repository);
    let first = reader.sync().await;
    assert_eq!(first.pretty(), ["v1.0.0"]);
    assert_eq!(first.references()["v1.0.0"], released);
    let fetched = reader.archive(&unwanted).await;
    assert!(fetched.is_err(), "it was fetched");

    // What happens to others is no change.
    origin.git(&["branch", "other"]);
    assert!(reader.sync_after(Some(&first)).await.unwrap().unchanged);
    origin.git(&["tag", "v1.1.0"]);
    let second = reader.sync_after(Some(&first)).await.unwrap();
    assert_eq!(second.pretty(), ["v1.1.0", "v1.0.0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_without_a_name_says_what_to_do() {
    for (manifest, expected) in [
        (None, "there is no composer.json in the default branch main"),
        (Some(r#"{"type":"library"}"#), "has no \"name\"; add one"),
        (Some(r#"{"name":"Not A Name"}"#), "is not a package name"),
        (Some("{"), "composer.json: EOF"),
    ] {
        let origin = Origin::empty();
        origin.write("README", "x");
        if let Some(manifest) = manifest {
            origin.write("composer.json", manifest);
        }
        origin.commit("x");
        let error = Reader::new(&origin.url())
            .source
            .survey(None)
            .await
            .err()
            .unwrap();
        assert!(matches!(error, SourceError::Invalid { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let empty = Reader::new(&Origin::empty().url())
        .source
        .survey(None)
        .await
        .err()
        .unwrap();
    assert!(
        empty.to_string().contains("there is no git repository")
            || empty.to_string().contains("default branch"),
        "{empty}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn moved_and_deleted_refs_are_followed() {
    let origin = Origin::new();
    let old = origin.release("1.0.0", r#"{"name":"acme/lib","description":"old"}"#);
    origin.git(&["branch", "a"]);
    origin.git(&["branch", "gone"]);
    let reader = Reader::new(&origin.url());
    let first = reader.sync().await;
    assert_eq!(first.references()["1.0.0"], old);

    let new = origin.release("1.1.0", r#"{"name":"acme/lib","description":"new"}"#);
    origin.git(&["tag", "-f", "1.0.0"]);
    origin.git(&["branch", "-D", "gone", "a"]);
    // A folder where there was a ref, the classic conflict of loose refs.
    origin.git(&["branch", "a/b"]);
    let second = reader.sync_after(Some(&first)).await.unwrap();

    assert!(!second.unchanged);
    assert_eq!(second.references()["1.0.0"], new);
    assert_eq!(second.pretty(), ["1.1.0", "1.0.0", "dev-main", "dev-a/b"]);
    let description: Option<String> = second.version("1.0.0").fields().read("description");
    assert_eq!(description.as_deref(), Some("new"));
    // Lock files still ask for the commit that the tag had.
    assert!(reader.archive(&old).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_branch_moves_its_mark() {
    let origin = Origin::new();
    origin.git(&["branch", "develop"]);
    let reader = Reader::new(&origin.url());
    let first = reader.sync().await;
    origin.git(&["checkout", "-q", "develop"]);
    let second = reader.sync_after(Some(&first)).await.unwrap();
    let marked = |synced: &crate::support::git::Synced, version: &str| {
        synced
            .version(version)
            .fields()
            .get("default-branch")
            .is_some()
    };
    assert!(marked(&first, "dev-main") && !marked(&first, "dev-develop"));
    assert!(!marked(&second, "dev-main") && marked(&second, "dev-develop"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_moved_is_not_read_again() {
    let origin = Origin::new();
    origin.release("1.0.0", r#"{"name":"acme/lib"}"#);
    origin.release("1.0.1", "{");
    origin.write("composer.json", r#"{"name":"acme/lib"}"#);
    origin.commit("good");
    let reader = Reader::new(&origin.url());
    let mut first = reader.sync().await;
    // A mark that is not in the repository shows what was taken over.
    for version in &mut first.versions.versions {
        let mark = package_broker_core::domain::metadata::Raw::of("2024-01-01T00:00:00+00:00");
        version.set_published_time(mark);
    }
    first.versions.skipped[0].reason = "as before".to_owned();
    let moved = origin.commit("more");

    let second = reader.sync_after(Some(&first)).await.unwrap();

    let taken_over = |version: &str| {
        second
            .version(version)
            .fields()
            .get("published-time")
            .is_some()
    };
    assert!(taken_over("1.0.0"));
    assert!(!taken_over("dev-main"));
    assert_eq!(second.references()["dev-main"], moved);
    assert_eq!(second.skipped("1.0.1").reason, "as before");

    // Under another path nothing of it holds.
    let other = Repository {
        path: Some("sub".to_owned()),
        ..git_repository(&origin.url())
    };
    origin.write("sub/composer.json", r#"{"name":"acme/lib"}"#);
    origin.commit("sub");
    let elsewhere = Reader::of(&other).sync_after(Some(&second)).await.unwrap();
    assert_eq!(elsewhere.pretty(), ["dev-main"]);
}
