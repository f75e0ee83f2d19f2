//! Revisions: how replicas notice each other's changes.

use futures::future::join_all;
use package_broker_core::{
    domain::{names::PackageName, stamp::Stamp},
    ports::database::{Changes, Database, DatabaseError, Delta},
};

use super::{apply, package, publication, publish, put, repository, tokens::token, withdraw};

async fn delta(database: &dyn Database, seen: i64) -> Delta {
    let mut delta = database.changed_since(seen).await.unwrap();
    delta.packages.sort();
    delta
}

fn names(delta: &Delta) -> Vec<&str> {
    delta.packages.iter().map(PackageName::as_str).collect()
}

pub(crate) async fn a_delta_is_what_changed_since(database: &dyn Database) {
    assert_eq!(database.index().await.unwrap().revision, 0);
    let changes = Changes {
        put: vec![
            put("team", "acme/a", &["1.0"]),
            put("other", "acme/a", &["2.0"]),
        ],
        publish: vec![publication("acme/a", "team", "one", "dev")],
        ..Changes::default()
    };
    let first = apply(database, changes, 1_000).await;
    publish(database, "acme/b", "one", "dev", 1_000).await;
    let all = delta(database, 0).await;
    assert_eq!(names(&all), ["acme/a", "acme/b"]);
    assert_eq!((all.held.len(), all.published.len()), (2, 2));
    let index = database.index().await.unwrap();
    assert_eq!(all.revision, index.revision);

    let later = delta(database, first.revision).await;
    assert_eq!(names(&later), ["acme/b"]);
    assert_eq!(later.published, [index.published[1].clone()]);

    let gone = Changes {
        remove: vec![(repository("other"), package("acme/a"))],
        ..Changes::default()
    };
    apply(database, gone, 1_000).await;
    let absent = withdraw(database, "acme/b", 1_000).await;
    let last = delta(database, all.revision).await;
    assert_eq!(names(&last), ["acme/a", "acme/b"]);
    assert_eq!(last.absent, absent);
    let held: Vec<_> = last
        .held
        .iter()
        .map(|held| held.repository.as_str())
        .collect();
    assert_eq!(held, ["team"]);
    assert_eq!(last.published.len(), 1);
    assert_eq!(names(&delta(database, last.revision).await), [""; 0]);
    assert_eq!(
        apply(database, Changes::default(), 1_000).await.revision,
        last.revision
    );
}

pub(crate) async fn a_change_of_what_others_changed_is_refused(database: &dyn Database) {
    let seen = publish(database, "acme/a", "one", "dev", 1_000).await;
    let seen = (seen, database.revisions().await.unwrap().packages).1;
    publish(database, "acme/a", "two", "dev", 1_001).await;
    let mut late = Changes {
        seen,
        put: vec![put("team", "acme/a", &["1.0"])],
        publish: vec![publication("acme/a", "team", "three", "dev")],
        ..Changes::default()
    };
    let refused = database.apply(&late, Stamp(1_002)).await.unwrap_err();
    assert!(matches!(refused, DatabaseError::Outdated), "{refused}");
    let index = database.index().await.unwrap();
    assert_eq!(
        (index.held.len(), index.published[0].stable),
        (0, Stamp(1_001))
    );

    // Other names do not matter.
    late.put = vec![put("team", "acme/b", &["1.0"])];
    late.publish = vec![publication("acme/b", "team", "three", "dev")];
    database.apply(&late, Stamp(1_002)).await.unwrap();
}

/// Many count up a version at once, each on what it has seen: no step is lost.
pub(crate) async fn of_many_writers_none_overwrites_what_it_has_not_seen(database: &dyn Database) {
    let one = |writer: usize| async move {
        let mut done = 0;
        while done < 5 {
            let now = delta(database, 0).await;
            let count = now.held.first().map_or(0, |held| held.skipped);
            let mut put = put("team", "acme/count", &["1.0"]);
            put.skipped = count + 1;
            let changes = Changes {
                seen: now.revision,
                put: vec![put],
                ..Changes::default()
            };
            match database.apply(&changes, Stamp(1_000)).await {
                Ok(_) => done += 1,
                Err(DatabaseError::Outdated) => {}
                Err(error) => panic!("writer {writer}: {error}"),
            }
        }
    };
    join_all((0..4).map(one)).await;
    assert_eq!(database.index().await.unwrap().held[0].skipped, 20);
}

pub(crate) async fn each_part_has_its_own(database: &dyn Database) {
    let mut before = database.revisions().await.unwrap();
    let token = [token("ci", 1, "{}")];
    database.replace_tokens(&token, Stamp(1)).await.unwrap();
    before.tokens += 1;
    assert_eq!(database.revisions().await.unwrap(), before);
    database.replace_tokens(&token, Stamp(2)).await.unwrap();
    assert_eq!(
        database.revisions().await.unwrap(),
        before,
        "nothing changed"
    );
    database.replace_tokens(&[], Stamp(3)).await.unwrap();
    before.tokens += 1;
    assert_eq!(database.revisions().await.unwrap(), before);

    let record = super::records::empty("team");
    database.save_repository(&record, None).await.unwrap();
    database.forget_repository(&record.name).await.unwrap();
    before.repositories += 2;
    publish(database, "acme/a", "one", "dev", 1_000).await;
    before.packages += 1;
    assert_eq!(database.revisions().await.unwrap(), before);

    let content = super::declared::content("text", None);
    let one = super::declared::declaration(database, "team", content).await;
    database.declare_one(&one).await.unwrap();
    database.withdraw(&one.name).await.unwrap();
    before.declared += 2;
    assert_eq!(database.revisions().await.unwrap(), before);
}

pub(super) async fn what_was_decided_under_another_installation_is_refused(
    database: &dyn Database,
) {
    let put_under = |declared| Changes {
        put: vec![put("team", "acme/lib", &["1.0.0"])],
        declared,
        ..Changes::default()
    };
    let mut changes = put_under(Some(0));
    database.apply(&changes, Stamp(1_000)).await.unwrap();
    changes.seen = database.revisions().await.unwrap().packages;
    assert!(database.declare_installation("another").await.unwrap());
    let refused = database.apply(&changes, Stamp(2_000)).await;
    assert!(
        matches!(refused, Err(DatabaseError::Outdated)),
        "{refused:?}"
    );
    changes.declared = Some(database.revisions().await.unwrap().declared);
    database.apply(&changes, Stamp(3_000)).await.unwrap();
    changes.seen = database.revisions().await.unwrap().packages;
    // Of an installation that is declared nowhere there is nothing to check.
    changes.declared = None;
    database.apply(&changes, Stamp(4_000)).await.unwrap();
}
