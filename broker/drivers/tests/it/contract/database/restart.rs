//! What was acknowledged is there after a restart.

use std::future::Future;

use package_broker_core::{
    domain::{metadata::Channel, stamp::Stamp},
    ports::{
        audit::Filter,
        database::{Changes, Database},
    },
};

use super::{
    apply, archives::archive, audit, declared, package, publication, publish, put, repository,
    served, tokens::token, withdraw,
};

/// Opens the database several times, each time after the one before is gone without a farewell.
#[expect(clippy::too_many_lines, reason = "everything, in one story")]
pub(crate) async fn everything_survives_a_restart<D, F>(open: impl Fn() -> F)
where
    D: Database,
    F: Future<Output = D>,
{
    let first = open().await;
    let changes = Changes {
        put: vec![
            put("team", "acme/lib", &["1.0", "dev-main"]),
            put("team", "acme/gone", &["1.0"]),
        ],
        publish: vec![
            publication("acme/lib", "team", "one", "dev"),
            publication("acme/gone", "team", "one", "dev"),
        ],
        ..Changes::default()
    };
    apply(&first, changes, 1_000).await;
    let remove = vec![(repository("team"), package("acme/gone"))];
    apply(
        &first,
        Changes {
            remove,
            ..Changes::default()
        },
        1_000,
    )
    .await;
    let absent = withdraw(&first, "acme/gone", 1_000).await;
    let token = token("ci", 1, "{}");
    let floor = first
        .replace_tokens(std::slice::from_ref(&token), Stamp(1_000))
        .await
        .unwrap()[0];
    let root = first
        .root_stamp(&[1; 32], &[2; 32], Stamp(1_000))
        .await
        .unwrap();
    let archive = archive("team", "1.0.0.0", "ab", 1);
    first.add_archive(&archive).await.unwrap();
    first.save_setting("rendered", "with this").await.unwrap();
    let content = declared::content("text", Some("secret"));
    let team = declared::declaration(&first, "team", content).await;
    first.declare_one(&team).await.unwrap();
    let declared = first.declared().await.unwrap();
    let record = audit::record("ci", "acme/lib", 1_000);
    audit::append(&first, 1, std::slice::from_ref(&record)).await;
    let index = first.index().await.unwrap();
    let versions = first
        .versions(&repository("team"), &package("acme/lib"))
        .await
        .unwrap();
    drop(first);

    for _ in 0..2 {
        let again = open().await;
        let found = again.index().await.unwrap();
        assert_eq!(
            (&found.held, &found.published, found.absent),
            (&index.held, &index.published, absent)
        );
        assert_eq!(
            again
                .versions(&repository("team"), &package("acme/lib"))
                .await
                .unwrap(),
            versions
        );
        assert_eq!(
            served(&again, "acme/lib", Channel::Stable).await,
            Some(("one".to_owned(), Stamp(1_000)))
        );
        assert_eq!(served(&again, "acme/gone", Channel::Stable).await, None);
        assert_eq!(again.tokens().await.unwrap(), [(token.clone(), floor)]);
        assert_eq!(
            again
                .root_stamp(&[1; 32], &[2; 32], Stamp(1))
                .await
                .unwrap(),
            root
        );
        assert_eq!(
            again.archives(&archive.key).await.unwrap(),
            std::slice::from_ref(&archive)
        );
        assert_eq!(
            again.setting("rendered").await.unwrap().as_deref(),
            Some("with this")
        );
        assert_eq!(again.declared().await.unwrap(), declared);
        let records = audit::read(&again, &Filter::default(), 10).await;
        assert_eq!(records, std::slice::from_ref(&record));
    }

    // The order of stamps goes on where it was.
    let last = open().await;
    assert!(
        publish(&last, "acme/gone", "one", "dev", 1).await.stable > root.max(floor).max(absent)
    );
    assert!(last.root_stamp(&[7; 32], &[2; 32], Stamp(1)).await.unwrap() > root);
}
