//! What a second look reads again, and what it does not.

use std::{
    fs::{self, File},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use package_broker_core::{
    domain::{metadata::PackageVersions, names::RepositoryName, stamp::Stamp},
    ports::{
        database::{Changes, PackageStore, PutPackage},
        source::{Known, Reading, Source, SourceError},
    },
};
use package_broker_drivers::database::sqlite::Sqlite;

use super::{
    build::{Artifacts, package_zip},
    names, open, read, versions,
};
use crate::support::source::{known, name};

fn is_unchanged(reading: &Reading) -> bool {
    matches!(reading, Reading::Unchanged)
}

#[tokio::test]
async fn an_unchanged_folder_is_known_to_be_so() {
    let folder = Artifacts::new();
    folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    folder.put("bad.zip", b"bad");
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    assert!(!first.unchanged);
    let again = source.survey(first.state.as_deref()).await.unwrap();
    assert!(again.unchanged);
    assert_eq!(again.state, first.state);
    assert_eq!(again.skipped, first.skipped);
    let validator = read(&first, "acme/lib").await.validator;
    let reading = again
        .reader
        .read(&name("acme/lib"), &known(validator.as_deref()))
        .await
        .unwrap();
    assert!(is_unchanged(&reading));
    let absent = again
        .reader
        .read(&name("acme/none"), &known(None))
        .await
        .unwrap();
    assert!(matches!(absent, Reading::Absent));
}

#[tokio::test]
async fn an_empty_folder_is_a_change_only_once() {
    let folder = Artifacts::new();
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    assert_eq!((names(&first), first.unchanged), (vec![], false));
    assert!(
        source
            .survey(first.state.as_deref())
            .await
            .unwrap()
            .unchanged
    );
}

#[tokio::test]
async fn texts_that_are_no_state_are_ignored() {
    let folder = Artifacts::new();
    folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    for text in [
        "",
        "null",
        "{}",
        "[1]",
        r#"{"rules":0,"files":{}}"#,
        r#"{"rules":1,"files":{"lib.zip":7}}"#,
    ] {
        let survey = open(folder.path()).survey(Some(text)).await.unwrap();
        assert_eq!(
            (names(&survey), survey.unchanged),
            (vec!["acme/lib"], false),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_change_of_one_package_leaves_the_others_unchanged() {
    let folder = Artifacts::new();
    folder.put("one-1.zip", &package_zip("acme/one", "1.0"));
    folder.put("two-1.zip", &package_zip("acme/two", "1.0"));
    folder.put("three-1.zip", &package_zip("acme/three", "1.0"));
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    let validators = [
        read(&first, "acme/one").await.validator,
        read(&first, "acme/two").await.validator,
    ];
    folder.put("two-2.zip", &package_zip("acme/two", "2.0"));
    fs::remove_file(folder.path().join("three-1.zip")).unwrap();
    let second = source.survey(first.state.as_deref()).await.unwrap();
    assert_eq!(
        (names(&second), second.unchanged),
        (vec!["acme/one", "acme/two"], false)
    );
    let one = second
        .reader
        .read(&name("acme/one"), &known(validators[0].as_deref()))
        .await
        .unwrap();
    assert!(is_unchanged(&one));
    let two = second
        .reader
        .read(&name("acme/two"), &known(validators[1].as_deref()))
        .await
        .unwrap();
    assert!(!is_unchanged(&two));
    assert_eq!(versions(&second, "acme/two").await, ["2.0", "1.0"]);
}

#[tokio::test]
async fn other_bytes_under_the_same_size_and_time_are_seen() {
    let folder = Artifacts::new();
    let path = folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    let time = SystemTime::now() - Duration::from_hours(1);
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    folder.put("lib.zip", &package_zip("acme/lib", "2.0"));
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let second = source.survey(first.state.as_deref()).await.unwrap();
    assert!(!second.unchanged);
    assert_eq!(versions(&second, "acme/lib").await, ["2.0"]);
}

#[tokio::test]
async fn a_file_that_was_only_touched_is_the_same_package() {
    let folder = Artifacts::new();
    let path = folder.put("lib.zip", &package_zip("acme/lib", "1.0"));
    let source = open(folder.path());
    let first = source.survey(None).await.unwrap();
    let validator = read(&first, "acme/lib").await.validator;
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let second = source.survey(first.state.as_deref()).await.unwrap();
    assert!(!second.unchanged);
    let reading = second
        .reader
        .read(&name("acme/lib"), &known(validator.as_deref()))
        .await
        .unwrap();
    assert!(is_unchanged(&reading));
}

#[tokio::test]
async fn a_file_replaced_after_the_survey_waits_for_the_next() {
    let folder = Artifacts::new();
    folder.put("a.zip", &package_zip("acme/lib", "1.0"));
    folder.put("b.zip", &package_zip("acme/lib", "2.0"));
    let source = open(folder.path());
    let survey = source.survey(None).await.unwrap();
    let replacement = folder.put("new.part", &package_zip("acme/lib", "3.0"));
    fs::rename(replacement, folder.path().join("b.zip")).unwrap();
    let reading = survey.reader.read(&name("acme/lib"), &known(None)).await;
    // A failure, so that what was published before stays.
    let error = reading.err().unwrap();
    assert!(
        matches!(error, SourceError::Unavailable { .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .ends_with("b.zip: it changed while it was read; the next sync reads it again"),
        "{error}"
    );
    let next = source.survey(survey.state.as_deref()).await.unwrap();
    assert_eq!(versions(&next, "acme/lib").await, ["3.0", "1.0"]);
}

#[tokio::test]
async fn versions_that_are_stored_are_not_read_again() {
    let (folder, data) = (Artifacts::new(), tempfile::tempdir().unwrap());
    folder.put("a.zip", &package_zip("acme/lib", "1.0"));
    let source = open(folder.path());
    let found = read(&source.survey(None).await.unwrap(), "acme/lib").await;
    let mut stored = PackageVersions::check(&name("acme/lib"), found.versions, found.skipped);
    // Not in the file: proves where the version comes from next time.
    let mark = package_broker_core::domain::metadata::Raw::of("2024-01-01T00:00:00+00:00");
    stored.versions[0].set_published_time(mark);
    let database = Sqlite::open(&data.path().join("db")).await.unwrap();
    let put = PutPackage {
        repository: RepositoryName::new("upstream"),
        package: name("acme/lib"),
        validator: found.validator.clone(),
        content: Bytes::from(stored.encode()),
        versions: 1,
        skipped: 0,
    };
    let changes = Changes {
        put: vec![put],
        ..Changes::default()
    };
    database.apply(&changes, Stamp(1)).await.unwrap();

    folder.put("b.zip", &package_zip("acme/lib", "2.0"));
    let survey = source.survey(None).await.unwrap();
    let known = Known {
        validator: found.validator,
        packages: Arc::new(database),
        repository: RepositoryName::new("upstream"),
    };
    let Reading::Found(found) = survey.reader.read(&name("acme/lib"), &known).await.unwrap() else {
        panic!("a new version is a change")
    };
    let marked: Vec<Option<String>> = found
        .versions
        .iter()
        .map(|fields| fields.read("published-time"))
        .collect();
    assert_eq!(marked, [Some("2024-01-01T00:00:00+00:00".to_owned()), None]);
}
