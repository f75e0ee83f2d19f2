//! Archives: recorded once, never changed, never taken away.

use futures::future::join_all;
use package_broker_core::{
    domain::archive::{Archive, ArchiveFormat, ArchiveKey, BlobId},
    ports::database::{Changes, Database},
};

use super::{apply, package, put, repository};

pub(crate) fn archive(in_repository: &str, version: &str, reference: &str, blob: u8) -> Archive {
    let key = ArchiveKey {
        package: package("acme/lib"),
        version: version.to_owned(),
        reference: reference.to_owned(),
    };
    Archive {
        repository: repository(in_repository),
        key,
        format: ArchiveFormat::Zip,
        blob: BlobId([blob; 32]),
        sha1: hex::encode([blob; 20]),
        size: u64::from(blob),
    }
}

async fn of_package(database: &dyn Database, in_repository: &str) -> Vec<Archive> {
    let mut found = database
        .archives_of(&repository(in_repository), &package("acme/lib"))
        .await
        .unwrap();
    found.sort_by(|a, b| {
        (&a.key.version, &a.key.reference).cmp(&(&b.key.version, &b.key.reference))
    });
    found
}

pub(crate) async fn every_field_of_an_archive_comes_back(database: &dyn Database) {
    let formats = [
        ArchiveFormat::Zip,
        ArchiveFormat::Tar,
        ArchiveFormat::TarGz,
        ArchiveFormat::TarBz2,
        ArchiveFormat::TarXz,
    ];
    let mut all = Vec::new();
    for (number, format) in formats.into_iter().enumerate() {
        let archive = Archive {
            format,
            size: (1 << 40) + number as u64,
            ..archive("team", &format!("{number}.0.0.0"), "ab", 200)
        };
        assert_eq!(database.add_archive(&archive).await.unwrap(), archive);
        assert_eq!(
            database.archives(&archive.key).await.unwrap(),
            std::slice::from_ref(&archive)
        );
        all.push(archive);
    }
    assert_eq!(of_package(database, "team").await, all);
    assert_eq!(of_package(database, "other").await, []);
    let near = ArchiveKey {
        reference: "abc".to_owned(),
        ..all[0].key.clone()
    };
    assert_eq!(database.archives(&near).await.unwrap(), []);
}

pub(crate) async fn an_archive_never_changes(database: &dyn Database) {
    let first = archive("team", "1.0.0.0", "ab", 1);
    assert_eq!(database.add_archive(&first).await.unwrap(), first);
    let other_bytes = archive("team", "1.0.0.0", "ab", 2);
    assert_eq!(database.add_archive(&other_bytes).await.unwrap(), first);
    assert_eq!(
        database.archives(&first.key).await.unwrap(),
        std::slice::from_ref(&first)
    );
    let other_reference = archive("team", "1.0.0.0", "cd", 2);
    assert_eq!(
        database.add_archive(&other_reference).await.unwrap(),
        other_reference
    );
    assert_eq!(of_package(database, "team").await, [first, other_reference]);
}

pub(crate) async fn an_address_may_have_an_archive_in_each_repository(database: &dyn Database) {
    let (a, b) = (
        archive("a", "1.0.0.0", "ab", 1),
        archive("b", "1.0.0.0", "ab", 2),
    );
    for archive in [&a, &b] {
        assert_eq!(database.add_archive(archive).await.unwrap(), *archive);
    }
    let mut found = database.archives(&a.key).await.unwrap();
    found.sort_by(|a, b| a.repository.cmp(&b.repository));
    assert_eq!(found, [a.clone(), b.clone()]);
    assert_eq!(
        (
            of_package(database, "a").await,
            of_package(database, "b").await
        ),
        (vec![a], vec![b])
    );
}

pub(crate) async fn archives_outlive_their_package_and_its_repository(database: &dyn Database) {
    apply(
        database,
        Changes {
            put: vec![put("team", "acme/lib", &["1.0"])],
            ..Changes::default()
        },
        1,
    )
    .await;
    let kept = archive("team", "1.0.0.0", "ab", 1);
    database.add_archive(&kept).await.unwrap();
    let remove = vec![(repository("team"), package("acme/lib"))];
    apply(
        database,
        Changes {
            remove,
            withdraw: vec![package("acme/lib")],
            ..Changes::default()
        },
        2,
    )
    .await;
    database
        .forget_repository(&repository("team"))
        .await
        .unwrap();
    assert_eq!(database.archives(&kept.key).await.unwrap(), [kept]);
}

pub(crate) async fn of_archives_added_at_once_one_stays(database: &dyn Database) {
    let rivals: Vec<Archive> = (1..=16)
        .map(|blob| archive("team", "1.0.0.0", "ab", blob))
        .collect();
    let answers = join_all(rivals.iter().map(|archive| database.add_archive(archive))).await;
    let answers: Vec<Archive> = answers.into_iter().map(Result::unwrap).collect();
    let stored = database.archives(&rivals[0].key).await.unwrap();
    assert_eq!(stored.len(), 1);
    assert!(
        answers.iter().all(|answer| *answer == stored[0]),
        "{answers:?}"
    );
}

pub(crate) async fn it_is_known_whether_a_repository_has_archives(database: &dyn Database) {
    let has = async |name: &str| database.has_archives(&repository(name)).await.unwrap();
    assert!(!has("team").await);
    let one = archive("team", "1.0.0.0", "abc", 1);
    database.add_archive(&one).await.unwrap();
    assert!(has("team").await);
    assert!(!has("other").await);
}

/// An address comes from a client.
pub(crate) async fn an_address_of_odd_characters_is_just_not_there(database: &dyn Database) {
    for odd in ["a\0b", "\u{fffd}", "'; --", "\u{1f980}"] {
        let key = archive("team", odd, odd, 1).key;
        assert_eq!(database.archives(&key).await.unwrap(), []);
    }
}
