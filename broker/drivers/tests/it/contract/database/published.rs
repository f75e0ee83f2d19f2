//! What is served of the packages.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
};

use package_broker_core::{
    domain::{metadata::Channel, stamp::Stamp},
    ports::database::{Changes, Database, Encoding, Published, PutPackage},
};

use super::{apply, package, publication, publish, put, repository, served, withdraw};

pub(crate) async fn a_name_is_served_as_published_last(database: &dyn Database) {
    publish(database, "acme/lib", "one", "dev one", 10).await;
    publish(database, "acme/other", "other", "dev other", 10).await;
    assert_eq!(
        served(database, "acme/lib", Channel::Stable).await,
        Some(("one".into(), Stamp(10)))
    );
    assert_eq!(
        served(database, "acme/lib", Channel::Dev).await,
        Some(("dev one".into(), Stamp(10)))
    );
    publish(database, "acme/lib", "two", "dev two", 20).await;
    assert_eq!(
        served(database, "acme/lib", Channel::Stable).await,
        Some(("two".into(), Stamp(20)))
    );
    assert_eq!(
        served(database, "acme/lib", Channel::Dev).await,
        Some(("dev two".into(), Stamp(20)))
    );
    assert_eq!(
        served(database, "acme/other", Channel::Stable).await,
        Some(("other".into(), Stamp(10)))
    );
}

pub(crate) async fn what_is_published_is_in_the_index(database: &dyn Database) {
    let mut odd = publication("acme/lib", "team", "one", "dev");
    odd.description = "It's \"odd\"; \u{1f980}".to_owned();
    odd.kind = "symfony-bundle".to_owned();
    odd.abandoned = "acme/new".to_owned();
    let expected = Published {
        package: package("acme/lib"),
        owner: repository("team"),
        stable: Stamp(10),
        dev: Stamp(10),
        description: odd.description.clone(),
        kind: odd.kind.clone(),
        abandoned: odd.abandoned.clone(),
    };
    let applied = apply(
        database,
        Changes {
            publish: vec![odd],
            ..Changes::default()
        },
        10,
    )
    .await;
    assert_eq!(applied.published, std::slice::from_ref(&expected));
    let index = database.index().await.unwrap();
    assert_eq!(
        (index.published, index.held),
        (vec![expected.clone()], vec![])
    );

    // What is only shown in searches changes without a new stamp.
    let plain = Changes {
        publish: vec![publication("acme/lib", "team", "one", "dev")],
        ..Changes::default()
    };
    let applied = apply(database, plain, 20).await;
    let expected = Published {
        description: "acme/lib of team".to_owned(),
        kind: "library".to_owned(),
        abandoned: String::new(),
        ..expected
    };
    assert_eq!(applied.published, std::slice::from_ref(&expected));
    assert_eq!(database.index().await.unwrap().published, [expected]);
}

pub(crate) async fn documents_stay_until_they_are_withdrawn(database: &dyn Database) {
    let changes = Changes {
        put: vec![put("team", "acme/lib", &["1.0"])],
        publish: vec![publication("acme/lib", "team", "one", "dev")],
        ..Changes::default()
    };
    apply(database, changes, 10).await;
    let remove = vec![(repository("team"), package("acme/lib"))];
    apply(
        database,
        Changes {
            remove,
            ..Changes::default()
        },
        20,
    )
    .await;
    assert_eq!(
        served(database, "acme/lib", Channel::Stable).await,
        Some(("one".into(), Stamp(10)))
    );
    assert_eq!(database.index().await.unwrap().published.len(), 1);
}

pub(crate) async fn a_withdrawn_name_is_gone(database: &dyn Database) {
    publish(database, "acme/lib", "one", "dev", 10).await;
    publish(database, "acme/other", "one", "dev", 10).await;
    withdraw(database, "acme/lib", 20).await;
    for channel in Channel::ALL {
        assert_eq!(served(database, "acme/lib", channel).await, None);
        assert!(served(database, "acme/other", channel).await.is_some());
    }
    let published = database.index().await.unwrap().published;
    assert_eq!(
        published
            .iter()
            .map(|published| published.package.as_str())
            .collect::<Vec<_>>(),
        ["acme/other"]
    );
}

/// One transaction changes two names and their packages: no reader may see them apart.
pub(crate) async fn changes_are_seen_whole_or_not_at_all(database: &dyn Database) {
    let generation = |number: usize| {
        let names = ["acme/one", "acme/two"];
        let version = format!("{number}.0");
        let text = format!("generation {number}");
        let put = |name| PutPackage {
            skipped: u32::try_from(number).unwrap(),
            ..put("team", name, &[&version])
        };
        Changes {
            put: names.map(put).into(),
            publish: names.map(|name| described(name, &text)).into(),
            ..Changes::default()
        }
    };
    apply(database, generation(0), 10).await;
    let done = AtomicBool::new(false);
    let write = async {
        for number in 1..60 {
            apply(database, generation(number), 10).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let read = async {
        while !done.load(Ordering::Relaxed) {
            let index = database.index().await.unwrap();
            let [one, two] = index.published.as_slice() else {
                panic!("{:?}", index.published)
            };
            assert_eq!(one.description, two.description);
            assert_eq!((one.stable, one.dev), (two.stable, two.dev));
            let number = one.description.strip_prefix("generation ").unwrap();
            let held = index.held.iter().map(|held| held.skipped.to_string());
            assert_eq!(held.collect::<Vec<_>>(), [number, number]);
        }
    };
    tokio::join!(write, read);
}

fn described(name: &str, text: &str) -> package_broker_core::ports::database::Publication {
    let mut publication = publication(name, "team", text, text);
    publication.description = text.to_owned();
    publication
}

/// Whoever reads while documents change gets a stamp that names exactly the bytes beside it.
pub(crate) async fn stamps_belong_to_the_bytes(database: &dyn Database) {
    publish(database, "acme/lib", "text 0", "", 10).await;
    let done = AtomicBool::new(false);
    let write = async {
        for number in 1..100 {
            publish(database, "acme/lib", &format!("text {number}"), "", 10).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let read = async {
        let mut seen: HashMap<Stamp, bytes::Bytes> = HashMap::new();
        let mut last = Stamp(0);
        while !done.load(Ordering::Relaxed) {
            let document = database
                .document(&package("acme/lib"), Channel::Stable, Encoding::Gzip)
                .await;
            let document = document.unwrap().unwrap();
            assert!(
                document.stamp >= last,
                "{:?} after {last:?}",
                document.stamp
            );
            last = document.stamp;
            let bytes = seen
                .entry(document.stamp)
                .or_insert_with(|| document.bytes.clone());
            assert_eq!(*bytes, document.bytes);
        }
    };
    tokio::join!(write, read);
}

/// Descriptions come from upstream, with whatever JSON can hold.
pub(crate) async fn odd_descriptions_do_no_harm(database: &dyn Database) {
    let mut odd = publication("acme/odd", "team", "one", "dev");
    odd.description = "a\0b \u{1f980} 'c\"".to_owned();
    let changes = Changes {
        publish: vec![odd],
        ..Changes::default()
    };
    apply(database, changes, 1_000).await;
    let found = database.index().await.unwrap().published.remove(0);
    assert!(found.description.contains("\u{1f980} 'c\""), "{found:?}");
}
