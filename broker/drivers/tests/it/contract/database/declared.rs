//! Declared repositories.

use futures::future::join_all;
use package_broker_core::{
    domain::{keyring::KeyId, sealed::Sealed},
    ports::{
        database::{Database, DatabaseError, Revision},
        declared::{Declaration, DeclaredContent, DeclaredRecord},
    },
};

use super::repository;

fn sealed(key: &str, bytes: &[u8]) -> Sealed {
    Sealed {
        key: KeyId::new(key),
        bytes: bytes.to_vec(),
    }
}

pub(crate) fn content(settings: &str, secret: Option<&str>) -> DeclaredContent {
    DeclaredContent {
        settings: format!("{{\"text\":\"{settings}\"}}"),
        sealed: secret.map(|secret| sealed("key", secret.as_bytes())),
    }
}

/// A declaration as one who has seen everything.
pub(crate) async fn declaration(
    database: &dyn Database,
    name: &str,
    content: DeclaredContent,
) -> Declaration {
    Declaration {
        name: repository(name),
        seen: find(database, name).await.map(|record| record.generation),
        content: Some(content),
    }
}

/// One that leaves the row as it is.
async fn kept(database: &dyn Database, name: &str) -> Declaration {
    Declaration {
        content: None,
        ..declaration(database, name, content("", None)).await
    }
}

async fn declare(database: &dyn Database, name: &str, content: DeclaredContent) -> bool {
    let one = declaration(database, name, content).await;
    database.declare_one(&one).await.unwrap()
}

async fn find(database: &dyn Database, name: &str) -> Option<DeclaredRecord> {
    let declared = database.declared().await.unwrap();
    declared
        .into_iter()
        .find(|record| record.name.as_str() == name)
}

async fn names(database: &dyn Database) -> Vec<String> {
    let declared = database.declared().await.unwrap();
    declared
        .iter()
        .map(|record| record.name.to_string())
        .collect()
}

async fn revision(database: &dyn Database) -> Revision {
    database.revisions().await.unwrap().declared
}

pub(crate) async fn every_field_of_a_declaration_comes_back(database: &dyn Database) {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let full = DeclaredContent {
        settings: r#"{ "b":1, "a" : "\u0000 \ud83e\udd80", "a":2}"#.to_owned(),
        sealed: Some(sealed("key-1", &bytes)),
    };
    declare(database, "full", full.clone()).await;
    declare(database, "_bare", content("bare", None)).await;
    let declared = database.declared().await.unwrap();
    assert_eq!(
        declared
            .iter()
            .map(|record| (record.name.as_str(), &record.content))
            .collect::<Vec<_>>(),
        [("_bare", &content("bare", None)), ("full", &full)]
    );
}

pub(crate) async fn the_declared_are_exactly_those_given(database: &dyn Database) {
    for name in ["gone", "kept", "changed"] {
        declare(database, name, content("old", Some("old"))).await;
    }
    let before = (find(database, "kept").await, revision(database).await);
    let all = [
        declaration(database, "new", content("new", None)).await,
        declaration(database, "changed", content("new", Some("old"))).await,
        kept(database, "kept").await,
    ];
    let redeclared = database.declare_all(&all).await.unwrap();
    assert_eq!(
        redeclared.changed,
        [repository("new"), repository("changed")]
    );
    assert_eq!(redeclared.removed, [repository("gone")]);
    assert_eq!(names(database).await, ["changed", "kept", "new"]);
    let changed = find(database, "changed").await.unwrap();
    assert_eq!(changed.content, content("new", Some("old")));
    assert_eq!(
        (find(database, "kept").await, revision(database).await),
        (before.0, before.1 + 1)
    );
    let redeclared = database.declare_all(&[]).await.unwrap();
    assert_eq!(redeclared.removed.len(), 3);
    assert_eq!(names(database).await, [""; 0]);
}

pub(crate) async fn what_is_declared_already_is_not_written(database: &dyn Database) {
    assert!(declare(database, "team", content("old", Some("old"))).await);
    let before = (
        find(database, "team").await,
        database.revisions().await.unwrap(),
    );
    assert!(!declare(database, "team", content("old", Some("old"))).await);
    let same = [declaration(database, "team", content("old", Some("old"))).await];
    assert!(database.declare_all(&same).await.unwrap().is_empty());
    let kept = [kept(database, "team").await];
    assert!(database.declare_all(&kept).await.unwrap().is_empty());
    assert!(!database.withdraw(&repository("nobody")).await.unwrap());
    let after = (
        find(database, "team").await,
        database.revisions().await.unwrap(),
    );
    assert_eq!(after, before);
}

pub(crate) async fn what_was_decided_on_another_row_is_refused(database: &dyn Database) {
    let new = declaration(database, "team", content("mine", None)).await;
    declare(database, "team", content("theirs", None)).await;
    declare(database, "other", content("other", None)).await;
    let late = declaration(database, "team", content("mine", None)).await;
    let late_kept = kept(database, "team").await;
    declare(database, "team", content("theirs again", None)).await;
    let mut gone = declaration(database, "gone", content("mine", None)).await;
    gone.seen = Some(1);
    let before = (
        database.declared().await.unwrap(),
        database.revisions().await.unwrap(),
    );
    for refused in [new, late, late_kept, gone] {
        let one = database.declare_one(&refused).await.unwrap_err();
        assert!(matches!(one, DatabaseError::Outdated), "{one}");
        let all = [
            declaration(database, "first", content("mine", None)).await,
            refused,
        ];
        let all = database.declare_all(&all).await.unwrap_err();
        assert!(matches!(all, DatabaseError::Outdated), "{all}");
    }
    let after = (
        database.declared().await.unwrap(),
        database.revisions().await.unwrap(),
    );
    assert_eq!(after, before);
}

pub(crate) async fn one_comes_and_goes_beside_the_others(database: &dyn Database) {
    for name in ["a", "b", "c"] {
        assert!(declare(database, name, content(name, Some(name))).await);
    }
    let before = revision(database).await;
    assert!(database.withdraw(&repository("b")).await.unwrap());
    assert!(declare(database, "c", content("new", None)).await);
    assert_eq!(revision(database).await, before + 2);
    assert_eq!(names(database).await, ["a", "c"]);
    let [a, c] = [find(database, "a").await, find(database, "c").await];
    assert_eq!(a.unwrap().content, content("a", Some("a")));
    assert_eq!(c.unwrap().content, content("new", None));
}

pub(crate) async fn a_generation_never_comes_back(database: &dyn Database) {
    let mut seen = Vec::new();
    for round in 0..4 {
        for text in ["a", "b", "a"] {
            let changed = declare(database, "team", content(text, Some("secret"))).await;
            let generation = find(database, "team").await.unwrap().generation;
            assert_eq!(changed, !seen.contains(&generation), "{round} {text}");
            assert!(seen.iter().all(|before| *before <= generation));
            seen.push(generation);
        }
        if round % 2 == 0 {
            assert!(database.withdraw(&repository("team")).await.unwrap());
        }
    }
}

pub(crate) async fn credentials_are_resealed_if_they_are_those_that_were_read(
    database: &dyn Database,
) {
    for name in ["team", "other"] {
        declare(database, name, content("text", Some("old"))).await;
    }
    declare(database, "open", content("text", None)).await;
    let [team, other] = [find(database, "team").await, find(database, "other").await];
    let (old, new) = (sealed("key", b"old"), sealed("new", b"new"));
    let before = revision(database).await;
    for (name, from) in [
        ("team", sealed("key", b"older")),
        ("team", sealed("older", b"old")),
        ("open", old.clone()),
        ("nobody", old.clone()),
    ] {
        let resealed = database.reseal(&repository(name), &from, &new).await;
        assert!(!resealed.unwrap(), "{name} {from:?}");
    }
    assert_eq!(revision(database).await, before);
    let name = repository("team");
    assert!(database.reseal(&name, &old, &new).await.unwrap());
    assert!(!database.reseal(&name, &old, &new).await.unwrap());
    assert_eq!(revision(database).await, before + 1);
    let mut expected = team.unwrap();
    expected.content.sealed = Some(new);
    assert_eq!(find(database, "team").await, Some(expected));
    assert_eq!(find(database, "other").await, other);
    // Sealed anew is not declared anew.
    let all = [kept(database, "team").await, kept(database, "open").await];
    assert_eq!(
        database.declare_all(&all).await.unwrap().removed,
        [repository("other")]
    );
}

/// Many add to one row at once, each to what it has seen: no step is lost.
pub(crate) async fn of_many_who_declare_none_overwrites_what_it_has_not_seen(
    database: &dyn Database,
) {
    let one = |writer: usize| async move {
        let mut done = 0;
        while done < 5 {
            let now = find(database, "count").await;
            let so_far = now.as_ref().map_or("", |now| &now.content.settings);
            let next = Declaration {
                name: repository("count"),
                seen: now.as_ref().map(|now| now.generation),
                content: Some(DeclaredContent {
                    settings: format!("{so_far}{}", writer + 1),
                    sealed: None,
                }),
            };
            let written = if writer.is_multiple_of(2) {
                database.declare_one(&next).await.map(drop)
            } else {
                database.declare_all(&[next]).await.map(drop)
            };
            match written {
                Ok(()) => done += 1,
                Err(DatabaseError::Outdated) => {}
                Err(error) => panic!("writer {writer}: {error}"),
            }
        }
    };
    join_all((0..4).map(one)).await;
    let count = find(database, "count").await.unwrap();
    assert_eq!(count.content.settings.len(), 20);
}

pub(super) async fn an_installation_is_declared_once(database: &dyn Database) {
    let revision = async || database.revisions().await.unwrap().declared;
    assert_eq!(database.declared_installation().await.unwrap(), None);
    let before = revision().await;
    assert!(database.declare_installation("one").await.unwrap());
    let first = revision().await;
    assert!(first > before);
    assert!(!database.declare_installation("one").await.unwrap());
    assert_eq!(revision().await, first, "nothing changed");
    assert!(database.declare_installation("two").await.unwrap());
    assert!(revision().await > first);
    let declared = database.declared_installation().await.unwrap();
    assert_eq!(declared.as_deref(), Some("two"));
}
