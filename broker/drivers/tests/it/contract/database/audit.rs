//! The audit log.

use futures::future::join_all;
use jiff::Timestamp;
use package_broker_core::{
    domain::audit::{Action, Actor, Event, Outcome, Record},
    ports::{
        audit::{Batch, Filter, Position},
        database::Database,
    },
};

const WRITER: [u8; 16] = [7; 16];

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// A package that `token` read at a second.
pub(crate) fn record(token: &str, package: &str, second: i64) -> Record {
    let event = Event {
        subject: Some(package),
        ..Event::new(Actor::Token(token), Action::PackageRead)
    };
    event.record(at(second))
}

fn full(second: i64) -> Record {
    Record {
        first: at(second - 3),
        count: 1 << 40,
        address: Some("2001:db8::7".parse().unwrap()),
        version: Some("dev-feature/x".into()),
        repository: Some("team".into()),
        outcome: Outcome::Failed,
        detail: Some("{\"odd\": \"it's \u{1f980}\\n\"}".repeat(100).into()),
        ..record("ci", "acme/lib", second)
    }
}

pub(crate) async fn append(database: &dyn Database, number: i64, records: &[Record]) {
    let batch = Batch {
        writer: WRITER,
        number,
        records,
    };
    database.append_records(&batch).await.unwrap();
}

/// All records that meet a filter, read in pages of that length.
pub(crate) async fn read(database: &dyn Database, filter: &Filter, page: u32) -> Vec<Record> {
    let (mut all, mut after): (Vec<Record>, Option<Position>) = (Vec::new(), None);
    loop {
        let found = database.read_records(filter, after, page).await.unwrap();
        assert!(found.len() <= page as usize);
        let Some((last, _)) = found.last() else {
            return all;
        };
        let in_order = found.is_sorted_by(|(one, _), (other, _)| one < other);
        assert!(in_order && after < Some(found[0].0), "{found:?}");
        after = Some(*last);
        all.extend(found.into_iter().map(|(_, record)| record));
    }
}

async fn all(database: &dyn Database) -> Vec<Record> {
    read(database, &Filter::default(), 1_000).await
}

pub(crate) async fn every_field_of_an_audit_record_comes_back(database: &dyn Database) {
    let mut given = vec![full(100), record("", "", 101)];
    for (second, action) in (200..).zip(Action::ALL) {
        given.push(Event::new(Actor::Broker, *action).record(at(second)));
    }
    for (second, outcome) in (300..).zip(Outcome::ALL) {
        given.push(Record {
            outcome: *outcome,
            ..Event::new(Actor::Anonymous, Action::Search).record(at(second))
        });
    }
    given.push(record("micro", "acme/lib", 400));
    given.last_mut().unwrap().last = "2026-11-24T10:11:12.131415Z".parse().unwrap();
    append(database, 1, &given).await;
    assert_eq!(all(database).await, given);
}

pub(crate) async fn records_come_in_the_order_of_time(database: &dyn Database) {
    // Three of each time, added in another order.
    let mut given: Vec<Record> = (0..90)
        .map(|number| {
            record(
                "ci",
                &format!("acme/p{number}"),
                1_000 - i64::from(number) % 30,
            )
        })
        .collect();
    for (number, records) in (1..).zip(given.chunks(20)) {
        append(database, number, records).await;
    }
    given.sort_by_key(|record| record.last);
    for page in [1, 2, 7, 90, 1_000] {
        let found = read(database, &Filter::default(), page).await;
        assert_eq!(found, given, "in pages of {page}");
    }
}

fn meets(record: &Record, filter: &Filter) -> bool {
    let actor = filter.actor.as_deref();
    let subject = filter.subject.as_deref();
    filter.since.is_none_or(|since| record.last >= since)
        && filter.until.is_none_or(|until| record.last < until)
        && actor.is_none_or(|actor| *actor == *record.actor)
        && subject.is_none_or(|subject| record.subject.as_deref() == Some(subject))
        && filter.action.is_none_or(|action| record.action == action)
}

pub(crate) async fn a_filter_gives_what_meets_all_of_it(database: &dyn Database) {
    let mut given = Vec::new();
    for second in 0..60 {
        let token = ["ci", "sync"][usize::try_from(second % 2).unwrap()];
        let mut one = record(token, &format!("acme/p{}", second % 3), second);
        if second % 5 == 0 {
            one.action = Action::ArchiveRead;
        }
        given.push(one);
    }
    given.push(Event::new(Actor::Sync, Action::PackageChanged).record(at(60)));
    append(database, 1, &given).await;
    let filters = [
        Filter {
            since: Some(at(10)),
            ..Filter::default()
        },
        Filter {
            until: Some(at(10)),
            ..Filter::default()
        },
        Filter {
            since: Some(at(10)),
            until: Some(at(10)),
            ..Filter::default()
        },
        Filter {
            actor: Some("token/sync".to_owned()),
            ..Filter::default()
        },
        Filter {
            actor: Some("sync".to_owned()),
            ..Filter::default()
        },
        Filter {
            actor: Some("nobody' OR '\0'=''".to_owned()),
            ..Filter::default()
        },
        Filter {
            subject: Some("acme/p1".to_owned()),
            ..Filter::default()
        },
        Filter {
            action: Some(Action::ArchiveRead),
            ..Filter::default()
        },
        Filter {
            since: Some(at(5)),
            until: Some(at(50)),
            actor: Some("token/ci".to_owned()),
            subject: Some("acme/p1".to_owned()),
            action: Some(Action::ArchiveRead),
        },
    ];
    for filter in &filters {
        let expected: Vec<Record> = given
            .iter()
            .filter(|record| meets(record, filter))
            .cloned()
            .collect();
        assert_eq!(read(database, filter, 4).await, expected, "{filter:?}");
    }
}

pub(crate) async fn a_batch_is_added_once(database: &dyn Database) {
    let one = [record("ci", "acme/one", 1)];
    let two = [record("ci", "acme/two", 2)];
    append(database, 1, &one).await;
    append(database, 1, &one).await;
    append(database, 2, &two).await;
    append(database, 1, &one).await;
    append(database, 2, &two).await;
    append(database, 3, &[]).await;
    let of_another = Batch {
        writer: [8; 16],
        number: 1,
        records: &two,
    };
    database.append_records(&of_another).await.unwrap();
    let [one] = one;
    let [two] = two;
    assert_eq!(all(database).await, [one, two.clone(), two]);
}

pub(crate) async fn writers_at_once_lose_nothing(database: &dyn Database) {
    let writers = (0_u8..4).map(|writer| async move {
        for number in 1..=5 {
            let records: Vec<Record> = (0..300)
                .map(|p| record(&format!("t{writer}"), &format!("acme/p{p}"), number))
                .collect();
            let batch = Batch {
                writer: [writer; 16],
                number,
                records: &records,
            };
            database.append_records(&batch).await.unwrap();
        }
    });
    join_all(writers).await;
    assert_eq!(all(database).await.len(), 4 * 5 * 300);
}

pub(crate) async fn the_oldest_records_expire_first(database: &dyn Database) {
    let given: Vec<Record> = (0..10)
        .rev()
        .map(|second| record("ci", "acme/lib", second))
        .collect();
    append(database, 1, &given).await;
    assert_eq!(database.expire_records(at(7), 4).await.unwrap(), 4);
    let left: Vec<i64> = all(database)
        .await
        .iter()
        .map(|r| r.last.as_second())
        .collect();
    assert_eq!(left, [4, 5, 6, 7, 8, 9]);
    assert_eq!(database.expire_records(at(7), 4).await.unwrap(), 3);
    assert_eq!(database.expire_records(at(7), 4).await.unwrap(), 0);
    assert_eq!(all(database).await.len(), 3);
    // A writer is not forgotten with its records.
    append(database, 1, &given).await;
    assert_eq!(all(database).await.len(), 3);
}
