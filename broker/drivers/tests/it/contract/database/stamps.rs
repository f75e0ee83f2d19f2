//! Stamps: equal ones mean equal bytes, whoever asks, whatever the machine's clock does.

use std::collections::{BTreeSet, HashMap};

use futures::future::join_all;
use package_broker_core::{
    domain::stamp::Stamp,
    ports::database::{Changes, Database, Published},
};

use super::{apply, publication, publish, tokens, withdraw};

pub(crate) async fn a_changed_document_gets_a_later_stamp(database: &dyn Database) {
    let first = publish(database, "acme/lib", "one", "dev", 1_000).await;
    assert_eq!((first.stable, first.dev), (Stamp(1_000), Stamp(1_000)));
    let same_second = publish(database, "acme/lib", "two", "dev", 1_000).await;
    assert_eq!(
        (same_second.stable, same_second.dev),
        (Stamp(1_001), Stamp(1_000))
    );
    let clock_stepped_back = publish(database, "acme/lib", "three", "dev two", 500).await;
    assert_eq!(
        (clock_stepped_back.stable, clock_stepped_back.dev),
        (Stamp(1_002), Stamp(1_001))
    );
    // A content of earlier is a change all the same.
    let back_again = publish(database, "acme/lib", "one", "dev two", 2_000).await;
    assert_eq!(
        (back_again.stable, back_again.dev),
        (Stamp(2_000), Stamp(1_001))
    );
}

pub(crate) async fn a_document_with_the_same_digest_keeps_its_stamp(database: &dyn Database) {
    let first = publish(database, "acme/lib", "one", "dev", 1_000).await;
    for now in [1_000, 5_000, 10] {
        assert_eq!(
            publish(database, "acme/lib", "one", "dev", now).await,
            first
        );
    }
    let moved = Changes {
        publish: vec![publication("acme/lib", "other", "one", "dev")],
        ..Changes::default()
    };
    let moved = apply(database, moved, 6_000).await.published.remove(0);
    assert_eq!((moved.stable, moved.dev), (first.stable, first.dev));
}

pub(crate) async fn a_name_that_comes_back_is_later_than_its_absence(database: &dyn Database) {
    let first = publish(database, "acme/lib", "one", "dev", 1_000).await;
    let absent = withdraw(database, "acme/lib", 900).await;
    assert!(absent > first.stable);
    let again = publish(database, "acme/lib", "one", "dev", 800).await;
    assert!(
        again.stable > absent && again.dev > absent,
        "{again:?} {absent:?}"
    );
}

pub(crate) async fn absent_moves_when_a_name_is_lost_and_only_then(database: &dyn Database) {
    let start = database.index().await.unwrap().absent;
    let published = publish(database, "acme/lib", "one", "dev", 1_000).await;
    publish(database, "acme/lib", "two", "dev", 1_000).await;
    publish(database, "acme/other", "one", "dev", 1_000).await;
    assert_eq!(database.index().await.unwrap().absent, start);

    let withdrawn = withdraw(database, "acme/lib", 1_000).await;
    assert!(withdrawn > start && withdrawn > published.stable);
    assert_eq!(database.index().await.unwrap().absent, withdrawn);
    assert_eq!(withdraw(database, "acme/lib", 3_000).await, withdrawn);

    let new_owner = Changes {
        publish: vec![publication("acme/other", "b", "one", "dev")],
        ..Changes::default()
    };
    let moved = apply(database, new_owner, 1_000).await.absent;
    assert!(moved > withdrawn);
    assert_eq!(database.index().await.unwrap().absent, moved);

    // Coming back is no loss.
    publish(database, "acme/lib", "one", "dev", 1_000).await;
    assert_eq!(database.index().await.unwrap().absent, moved);
}

pub(crate) async fn root_files_keep_their_stamp_while_they_are_the_same(database: &dyn Database) {
    let (a, b, one, two) = ([1; 32], [2; 32], [3; 32], [4; 32]);
    let stamp =
        async |view, digest, now| database.root_stamp(view, digest, Stamp(now)).await.unwrap();
    let first = stamp(&a, &one, 1_000).await;
    assert_eq!(first, Stamp(1_000));
    assert_eq!(stamp(&a, &one, 5_000).await, first);
    let other_view = stamp(&b, &one, 1_000).await;
    assert!(other_view > first);
    let changed = stamp(&a, &two, 900).await;
    assert!(changed > other_view);
    // Only the one given last counts: an earlier content has to be told from its first time.
    let back = stamp(&a, &one, 900).await;
    assert!(back > changed);
    assert_eq!(stamp(&a, &one, 900).await, back);
    assert_eq!(stamp(&b, &one, 900).await, other_view);
}

pub(crate) async fn unique_stamps_stay_unique_when_many_ask_at_once(database: &dyn Database) {
    let roots = join_all((0..40u8).map(|view| async move {
        database
            .root_stamp(&[view; 32], &[0; 32], Stamp(1_000))
            .await
            .unwrap()
    }));
    let losses = join_all((0..20).map(|number| async move {
        let name = format!("acme/p{number}");
        publish(database, &name, "one", "dev", 1_000).await;
        withdraw(database, &name, 1_000).await
    }));
    let (roots, losses) = tokio::join!(roots, losses);
    let all: Vec<Stamp> = roots.into_iter().chain(losses).collect();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 60, "{all:?}");

    // Of those who ask for the same root file at once, all get the same.
    let same =
        join_all((0..20).map(|_| database.root_stamp(&[99; 32], &[1; 32], Stamp(1_000)))).await;
    let same: BTreeSet<Stamp> = same.into_iter().map(Result::unwrap).collect();
    assert_eq!(same.len(), 1);
}

/// What has been promised so far.
#[derive(Default)]
struct Ledger {
    last_unique: Stamp,
    last_document: Stamp,
    documents: HashMap<String, (String, Stamp)>,
}

impl Ledger {
    fn unique(&mut self, stamp: Stamp) {
        assert!(
            stamp > self.last_unique && stamp > self.last_document,
            "{stamp:?} is not later than all before"
        );
        self.last_unique = stamp;
    }

    fn document(&mut self, key: String, text: &str, stamp: Stamp) {
        if let Some((known, before)) = self.documents.get(&key) {
            if known == text {
                assert_eq!(stamp, *before, "{key} did not change");
                return;
            }
            assert!(stamp > *before, "{key} changed");
        }
        assert!(
            stamp > self.last_unique,
            "{key} could be taken for something given before"
        );
        self.last_document = self.last_document.max(stamp);
        self.documents.insert(key, (text.to_owned(), stamp));
    }

    fn published(&mut self, published: &Published, stable: &str, dev: &str) {
        self.document(
            format!("{} stable", published.package),
            stable,
            published.stable,
        );
        self.document(format!("{} dev", published.package), dev, published.dev);
    }
}

/// Hundreds of changes under a clock that stands, jumps and steps back.
pub(crate) async fn any_sequence_of_changes_keeps_the_order_of_stamps(database: &dyn Database) {
    let mut ledger = Ledger::default();
    let mut random = 88_172_645_463_325_252_u64;
    let mut pick = move |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % below
    };
    let (mut now, mut absent) = (1_000, database.index().await.unwrap().absent);
    let (mut roots, mut floors) = (HashMap::new(), HashMap::new());
    for _ in 0..400 {
        now += [0, 0, 1, 60, -45][usize::try_from(pick(5)).unwrap()];
        let name = format!("acme/p{}", pick(4));
        match pick(6) {
            0..=2 => {
                let (stable, dev) = (format!("s{}", pick(3)), format!("d{}", pick(3)));
                let published = publish(database, &name, &stable, &dev, now).await;
                ledger.published(&published, &stable, &dev);
            }
            3 => {
                let moved = withdraw(database, &name, now).await;
                let stable = ledger.documents.remove(&format!("{name} stable"));
                ledger.documents.remove(&format!("{name} dev"));
                if stable.is_some() {
                    ledger.unique(moved);
                } else {
                    assert_eq!(moved, absent);
                }
                absent = moved;
            }
            4 => {
                let (view, digest) = (
                    [u8::try_from(pick(3)).unwrap(); 32],
                    [u8::try_from(pick(2)).unwrap(); 32],
                );
                let stamp = database
                    .root_stamp(&view, &digest, Stamp(now))
                    .await
                    .unwrap();
                match roots.insert(view, (digest, stamp)) {
                    Some((known, before)) if known == digest => assert_eq!(stamp, before),
                    _ => ledger.unique(stamp),
                }
            }
            _ => {
                let token = tokens::token("ci", 1, &format!("[{}]", pick(2)));
                let floor = database
                    .replace_tokens(std::slice::from_ref(&token), Stamp(now))
                    .await
                    .unwrap()[0];
                match floors.insert("ci", (token.grant.clone(), floor)) {
                    Some((grant, before)) if grant == token.grant => assert_eq!(floor, before),
                    _ => ledger.unique(floor),
                }
            }
        }
    }
}
