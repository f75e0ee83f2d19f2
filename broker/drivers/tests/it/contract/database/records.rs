//! Repositories' records, and settings.

use package_broker_core::{
    domain::skipped::Skipped,
    ports::database::{Changes, Database, Failure, RepositoryRecord},
};

use super::{apply, package, put, repository};

pub(crate) fn empty(name: &str) -> RepositoryRecord {
    RepositoryRecord {
        name: repository(name),
        kind: "git".to_owned(),
        url: "https://git.example.com/acme/lib.git".to_owned(),
        fingerprint: String::new(),
        state: None,
        listing: None,
        changed_at: None,
        failure: None,
        skipped: Vec::new(),
    }
}

pub(crate) fn full(name: &str) -> RepositoryRecord {
    RepositoryRecord {
        fingerprint: "abc".to_owned(),
        state: Some("state \u{1f980}".repeat(50_000)),
        listing: Some("[\"acme/*\"]".to_owned()),
        changed_at: Some("2026-11-24T10:11:12.131415Z".parse().unwrap()),
        failure: Some(Failure {
            at: "2026-11-24T10:11:13Z".parse().unwrap(),
            count: u32::MAX,
            message: "it's \"down\"".to_owned(),
        }),
        skipped: vec![
            Skipped::new("v1", "no composer.json"),
            Skipped::new("x.zip", "bad").at("abc"),
        ],
        ..empty(name)
    }
}

async fn stored(database: &dyn Database) -> Vec<RepositoryRecord> {
    let mut records = database.repositories().await.unwrap();
    records.sort_by(|a, b| a.name.cmp(&b.name));
    records
}

pub(crate) async fn every_field_of_a_record_comes_back(database: &dyn Database) {
    for record in [full("full"), empty("empty")] {
        database.save_repository(&record, None).await.unwrap();
    }
    assert_eq!(stored(database).await, [empty("empty"), full("full")]);
}

pub(crate) async fn a_record_is_replaced_whole(database: &dyn Database) {
    database.save_repository(&full("a"), None).await.unwrap();
    database.save_repository(&full("b"), None).await.unwrap();
    database.save_repository(&empty("a"), None).await.unwrap();
    assert_eq!(stored(database).await, [empty("a"), full("b")]);
}

pub(crate) async fn a_repository_is_forgotten_alone(database: &dyn Database) {
    for name in ["a", "b"] {
        database.save_repository(&full(name), None).await.unwrap();
        apply(
            database,
            Changes {
                put: vec![put(name, "acme/lib", &["1.0"])],
                ..Changes::default()
            },
            1,
        )
        .await;
    }
    database.forget_repository(&repository("a")).await.unwrap();
    database
        .forget_repository(&repository("never there"))
        .await
        .unwrap();
    assert_eq!(stored(database).await, [full("b")]);
    // Its packages leave through changes, for the names must be withdrawn with them.
    assert!(
        database
            .versions(&repository("a"), &package("acme/lib"))
            .await
            .unwrap()
            .is_some()
    );
}

pub(crate) async fn settings_are_kept_by_key(database: &dyn Database) {
    database.save_setting("a", "1").await.unwrap();
    database.save_setting("b", "").await.unwrap();
    database.save_setting("a", "2 \u{1f980}").await.unwrap();
    for (key, expected) in [
        ("a", Some("2 \u{1f980}")),
        ("b", Some("")),
        ("A", None),
        ("c", None),
    ] {
        assert_eq!(
            database.setting(key).await.unwrap().as_deref(),
            expected,
            "{key}"
        );
    }
}
