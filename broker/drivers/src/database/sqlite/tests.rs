//! What the contract tests cannot see: files, settings of connections, what is left in tables.

use std::{os::unix::fs::PermissionsExt, path::PathBuf};

use bytes::Bytes;
use package_broker_core::{
    domain::{
        names::{PackageName, RepositoryName},
        stamp::Stamp,
    },
    ports::database::{
        Changes, DatabaseError, DocumentBytes, PackageStore, Publication, PutPackage,
        RepositoryStore,
    },
};
use tempfile::TempDir;

use super::{super::MAX_VIEWS, Sqlite};

fn place() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.db");
    (dir, path)
}

fn name(number: usize) -> PackageName {
    PackageName::parse(&format!("acme/p{number}")).unwrap()
}

fn publication(number: usize) -> Publication {
    let document = DocumentBytes {
        digest: [7; 32],
        gzip: Bytes::from_static(b"gzip"),
        zstd: Bytes::from_static(b"zstd"),
    };
    Publication {
        package: name(number),
        owner: RepositoryName::new("team"),
        stable: document.clone(),
        dev: document,
        description: String::new(),
        kind: "library".to_owned(),
        abandoned: String::new(),
    }
}

fn put(number: usize) -> PutPackage {
    PutPackage {
        repository: RepositoryName::new("team"),
        package: name(number),
        validator: None,
        content: Bytes::from_static(br#"{"versions":[]}"#),
        versions: 0,
        skipped: 0,
    }
}

async fn number(database: &Sqlite, query: &'static str) -> i64 {
    sqlx::query_scalar(query)
        .fetch_one(&database.writer)
        .await
        .unwrap()
}

#[tokio::test]
async fn the_file_is_private_and_writes_are_durable() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let full = 2;
    assert_eq!(number(&database, "PRAGMA synchronous").await, full);
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&database.readers)
        .await
        .unwrap();
    assert_eq!(mode, "wal");
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    assert!(
        sqlx::query("DELETE FROM clock")
            .execute(&database.readers)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_batch_of_more_rows_than_one_statement_holds_is_whole() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    let changes = Changes {
        put: (0..150).map(put).collect(),
        publish: (0..150).map(publication).collect(),
        ..Changes::default()
    };
    let applied = database.apply(&changes, Stamp(100)).await.unwrap();
    assert_eq!(applied.published.len(), 150);
    let index = database.index().await.unwrap();
    assert_eq!((index.held.len(), index.published.len()), (150, 150));
    assert_eq!(
        number(&database, "SELECT count(*) FROM documents").await,
        300
    );
}

#[tokio::test]
async fn writing_goes_on_after_a_full_disk() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    let pages = number(&database, "PRAGMA page_count").await;
    // What SQLite does at this bound is what it does on a full disk: SQLITE_FULL, and a rollback of its own.
    assert_eq!(number(&database, "PRAGMA max_page_count = 1").await, pages);
    let mut large = put(1);
    large.validator = Some("x".repeat(1_000_000));
    let much = Changes {
        put: vec![large],
        ..Changes::default()
    };
    let refused = database.apply(&much, Stamp(100)).await.unwrap_err();
    assert!(refused.to_string().contains("free some space"), "{refused}");
    sqlx::query("PRAGMA max_page_count = 100000")
        .execute(&database.writer)
        .await
        .unwrap();
    database.apply(&much, Stamp(100)).await.unwrap();
    assert_eq!(database.index().await.unwrap().held.len(), 1);
}

#[tokio::test]
async fn nothing_but_stamps_is_left_of_what_is_gone() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    let changes = Changes {
        put: vec![put(1)],
        publish: vec![publication(1)],
        ..Changes::default()
    };
    database.apply(&changes, Stamp(100)).await.unwrap();
    let gone = Changes {
        seen: 1,
        remove: vec![(RepositoryName::new("team"), name(1))],
        withdraw: vec![name(1)],
        ..Changes::default()
    };
    database.apply(&gone, Stamp(200)).await.unwrap();
    for query in [
        "SELECT count(*) FROM packages",
        "SELECT count(*) FROM package_contents",
        "SELECT count(*) FROM documents",
    ] {
        assert_eq!(number(&database, query).await, 0, "{query}");
    }
    assert_eq!(
        number(
            &database,
            "SELECT stable_stamp FROM published WHERE owner IS NULL"
        )
        .await,
        100
    );
}

#[tokio::test]
async fn a_name_withdrawn_and_published_at_once_has_its_documents() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    let first = Changes {
        publish: vec![publication(1)],
        ..Changes::default()
    };
    database.apply(&first, Stamp(100)).await.unwrap();
    let both = Changes {
        seen: 1,
        publish: vec![publication(1)],
        withdraw: vec![name(1)],
        ..Changes::default()
    };
    let applied = database.apply(&both, Stamp(100)).await.unwrap();
    assert!(applied.published[0].stable > Stamp(100));
    assert_eq!(number(&database, "SELECT count(*) FROM documents").await, 2);
}

#[tokio::test]
async fn views_are_bounded_and_the_oldest_goes() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    let first = database
        .root_stamp(&[1; 32], &[1; 32], Stamp(1))
        .await
        .unwrap();
    sqlx::query(
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 10098) \
         INSERT INTO root_stamps SELECT CAST(i AS BLOB), x'00', i FROM n",
    )
    .execute(&database.writer)
    .await
    .unwrap();
    assert_eq!(
        number(&database, "SELECT count(*) FROM root_stamps").await,
        MAX_VIEWS
    );
    let last = database
        .root_stamp(&[2; 32], &[2; 32], Stamp(20_000))
        .await
        .unwrap();
    assert_eq!(
        number(&database, "SELECT count(*) FROM root_stamps").await,
        MAX_VIEWS
    );
    assert_eq!(
        database
            .root_stamp(&[2; 32], &[2; 32], Stamp(30_000))
            .await
            .unwrap(),
        last
    );
    assert!(
        database
            .root_stamp(&[1; 32], &[1; 32], Stamp(1))
            .await
            .unwrap()
            > first
    );
}

#[tokio::test]
async fn a_file_of_a_newer_release_is_refused() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations VALUES (9000, 'future', CURRENT_TIMESTAMP, TRUE, x'00', 0)",
    )
    .execute(&database.writer)
    .await
    .unwrap();
    database.close().await;
    for opened in [
        Sqlite::open(&path).await,
        Sqlite::open_existing(&path).await,
    ] {
        let error = opened.unwrap_err();
        assert!(matches!(error, DatabaseError::Corrupt { .. }));
        let text = error.to_string();
        assert!(
            text.contains("newer release") && text.contains("broker.db") && text.contains("9000"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_damaged_file_is_named_with_the_way_out() {
    let (_dir, path) = place();
    Sqlite::open(&path).await.unwrap().close().await;
    let whole = std::fs::read(&path).unwrap();
    let cut = whole[..whole.len() / 2].to_vec();
    let overwritten = [b"not a database ".repeat(300), whole[4500..].to_vec()].concat();
    for damage in [cut, overwritten] {
        std::fs::write(&path, damage).unwrap();
        let error = Sqlite::open(&path).await.unwrap_err();
        assert!(matches!(error, DatabaseError::Corrupt { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("broker.db") && text.contains("backup"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_missing_folder_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = Sqlite::open(&dir.path().join("none/broker.db"))
        .await
        .unwrap_err();
    assert!(matches!(error, DatabaseError::Unavailable { .. }));
    assert!(error.to_string().contains("none/broker.db"), "{error}");
}

#[tokio::test]
async fn reading_beside_a_broker_makes_and_changes_nothing() {
    let (_dir, path) = place();
    assert!(Sqlite::open_existing(&path).await.is_err());
    assert!(!path.exists());

    std::fs::write(&path, b"").unwrap();
    let text = Sqlite::open_existing(&path).await.unwrap_err().to_string();
    assert!(text.contains("start the broker once"), "{text}");

    let broker = Sqlite::open(&path).await.unwrap();
    broker.save_setting("a", "1").await.unwrap();
    let status = Sqlite::open_existing(&path).await.unwrap();
    assert_eq!(status.setting("a").await.unwrap().as_deref(), Some("1"));
    assert!(status.save_setting("a", "2").await.is_err());
    broker.save_setting("a", "3").await.unwrap();
    assert_eq!(status.setting("a").await.unwrap().as_deref(), Some("3"));

    broker.close().await;
    assert_eq!(status.setting("a").await.unwrap().as_deref(), Some("3"));
}

/// Every way to ask for records finds them by an index, in the order of the answer.
#[tokio::test]
async fn the_audit_log_is_read_by_its_indexes() {
    let (_dir, path) = place();
    let database = Sqlite::open(&path).await.unwrap();
    let (order, after) = (
        " ORDER BY last_at, id LIMIT 9",
        " AND (last_at, id) > (5, 7)",
    );
    for (condition, index) in [
        ("last_at < 7", "audit_by_time"),
        ("last_at >= 7 AND last_at < 9", "audit_by_time"),
        ("actor = 'a' AND last_at >= 7", "audit_by_actor"),
        ("subject = 'a'", "audit_by_time"),
        ("action = 'a' AND last_at < 7", "audit_by_action"),
    ] {
        for after in ["", after] {
            let query =
                format!("EXPLAIN QUERY PLAN SELECT * FROM audit WHERE {condition}{after}{order}");
            let plan: Vec<(i64, i64, i64, String)> = sqlx::query_as(sqlx::AssertSqlSafe(query))
                .fetch_all(&database.readers)
                .await
                .unwrap();
            let [(.., step)] = &plan[..] else {
                panic!("more than one step: {plan:?}")
            };
            assert!(step.contains(index), "{condition}: {step}");
        }
    }
}
