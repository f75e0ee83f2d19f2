//! What is to be recorded, in memory: equal events of one interval are one record with a count.
//!
//! An event that has a record costs a hash, a lock that is rarely waited for, and no allocation.

use std::{
    hash::BuildHasher,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use hashbrown::{DefaultHashBuilder, HashTable};
use jiff::Timestamp;

use crate::domain::audit::{Action, Actor, Event, Record};

/// Records in memory at most, those on their way to the database among them. Each is below 1.5 KiB without its detail,
/// which only changes of manifests have, and about 200 bytes as a rule.
pub const MAX_WAITING: usize = 50_000;
/// Of these, records of refused requests that name an address, in one interval. Beyond, one record stands for all other
/// addresses: who has no token must not take the place of records of those who have.
pub const MAX_STRANGERS: usize = 100;
/// Parts with a lock each: far more than threads that answer requests. They are taken one by one, so that few records are
/// on their way to the database at a time.
pub(super) const PARTS: usize = 32;

/// A record with the hash of its event.
type Entry = (u64, Record);
type Stripe = HashTable<Entry>;

/// Records that are not on their way to the database yet.
pub(super) struct Tally {
    stripes: [Mutex<Stripe>; PARTS],
    hasher: DefaultHashBuilder,
    /// Records in the stripes.
    tallied: AtomicUsize,
    /// Records in memory: those, and those that were taken but not stored.
    waiting: AtomicUsize,
    strangers: AtomicUsize,
    lost: Mutex<Option<Lost>>,
}

/// Events that there was no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lost {
    first: Timestamp,
    last: Timestamp,
    count: u64,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// It is one more of a record that was there.
    Again,
    /// It has a new record; so many are not on their way yet.
    New(usize),
    /// There was no room.
    Lost,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            stripes: std::array::from_fn(|_| Mutex::default()),
            hasher: DefaultHashBuilder::default(),
            tallied: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            strangers: AtomicUsize::new(0),
            lost: Mutex::default(),
        }
    }

    /// Counts an event.
    pub(super) fn note(&self, event: &Event<'_>, now: Timestamp) -> Noted {
        let event = event.bounded();
        if let Some(noted) = self.note_in_place(&event, now) {
            return noted;
        }
        // One of too many strangers.
        let event = Event {
            address: None,
            ..event
        };
        self.note_in_place(&event, now).unwrap_or(Noted::Lost)
    }

    /// `None` if it is of an address too many.
    fn note_in_place(&self, event: &Event<'_>, now: Timestamp) -> Option<Noted> {
        let hash = self.hasher.hash_one(event);
        let mut stripe = self.stripe(hash);
        if let Some((_, record)) = stripe.find_mut(hash, |(_, record)| event.is(record)) {
            record.count += 1;
            record.first = record.first.min(now);
            record.last = record.last.max(now);
            return Some(Noted::Again);
        }
        if is_stranger(event) && self.strangers.fetch_add(1, Ordering::Relaxed) >= MAX_STRANGERS {
            return None;
        }
        let before = self.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= MAX_WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.lose(now);
            return Some(Noted::Lost);
        }
        stripe.insert_unique(hash, (hash, event.record(now)), |(hash, _)| *hash);
        Some(Noted::New(self.tallied.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn stripe(&self, hash: u64) -> MutexGuard<'_, Stripe> {
        // Other bits than those that the table goes by.
        let number = usize::try_from(hash >> 32).unwrap_or_default() % PARTS;
        lock(&self.stripes[number])
    }

    fn lose(&self, now: Timestamp) {
        let mut lost = lock(&self.lost);
        let lost = lost.get_or_insert(Lost {
            first: now,
            last: now,
            count: 0,
        });
        lost.last = lost.last.max(now);
        lost.count += 1;
    }

    /// Takes the records of one of the [`PARTS`]. They count as waiting until [`Tally::stored`].
    pub(super) fn take(&self, part: usize) -> Vec<Record> {
        let mut stripe = lock(&self.stripes[part]);
        let records: Vec<Record> = stripe.drain().map(|(_, record)| record).collect();
        self.tallied.fetch_sub(records.len(), Ordering::Relaxed);
        records
    }

    /// Begins a new interval, once all parts were taken. The record of what was lost in the one before, if anything was:
    /// it counts as waiting as well.
    pub(super) fn end_interval(&self) -> Option<Record> {
        self.strangers.store(0, Ordering::Relaxed);
        let lost = lock(&self.lost).take()?;
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Some(Record {
            first: lost.first,
            count: lost.count,
            ..Event::new(Actor::Broker, Action::AuditLost).record(lost.last)
        })
    }

    /// So many of the records that were taken need no room any more.
    pub(super) fn stored(&self, records: usize) {
        self.waiting.fetch_sub(records, Ordering::Relaxed);
    }

    /// Records in memory.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

fn is_stranger(event: &Event<'_>) -> bool {
    event.actor == Actor::Anonymous && event.address.is_some()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, thread};

    use super::*;
    use crate::domain::audit::Outcome;

    /// All records in the order of time, and what was lost.
    fn take(tally: &Tally) -> Vec<Record> {
        let mut records: Vec<_> = (0..PARTS).flat_map(|part| tally.take(part)).collect();
        records.sort_by_key(|record| record.last);
        records.extend(tally.end_interval());
        records
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn read<'a>(token: &'a str, package: &'a str) -> Event<'a> {
        Event {
            subject: Some(package),
            ..Event::new(Actor::Token(token), Action::PackageRead)
        }
    }

    fn refused(number: u32) -> Event<'static> {
        Event {
            address: Some(Ipv4Addr::from_bits(number).into()),
            outcome: Outcome::Refused,
            ..Event::new(Actor::Anonymous, Action::AccessRefused)
        }
    }

    #[test]
    fn equal_events_are_one_record() {
        let tally = Tally::new();
        assert_eq!(tally.note(&read("ci", "a/b"), at(2)), Noted::New(1));
        assert_eq!(tally.note(&read("ci", "a/b"), at(5)), Noted::Again);
        // Clocks step back, and threads pass each other.
        assert_eq!(tally.note(&read("ci", "a/b"), at(1)), Noted::Again);
        assert_eq!(tally.note(&read("me", "a/b"), at(3)), Noted::New(2));
        let records = take(&tally);
        let told: Vec<_> = records
            .iter()
            .map(|r| (&*r.actor, r.first, r.last, r.count))
            .collect();
        let expected = [("token/me", at(3), at(3), 1), ("token/ci", at(1), at(5), 3)];
        assert_eq!(told, expected);
        assert_eq!((take(&tally), tally.waiting()), (vec![], 2));
        tally.stored(2);
        assert_eq!(tally.waiting(), 0);
    }

    #[test]
    fn what_is_cut_alike_is_equal() {
        let tally = Tally::new();
        let long = "x".repeat(1_000);
        assert_eq!(tally.note(&read(&long, &long), at(1)), Noted::New(1));
        assert_eq!(tally.note(&read(&long, &long), at(1)), Noted::Again);
    }

    #[test]
    fn nothing_is_miscounted_by_threads_at_once() {
        const THREADS: u64 = 8;
        const ROUNDS: u64 = 5_000;
        let tally = Tally::new();
        let mut records = Vec::new();
        thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for round in 0..ROUNDS {
                        let name = format!("acme/p{}", round % 50);
                        tally.note(&read("ci", &name), at(1));
                    }
                });
            }
            for _ in 0..20 {
                records.extend(take(&tally));
                thread::yield_now();
            }
        });
        records.extend(take(&tally));
        let counted: u64 = records.iter().map(|record| record.count).sum();
        assert_eq!(counted, THREADS * ROUNDS);
        assert_eq!(tally.waiting(), records.len());
    }

    #[test]
    fn what_there_is_no_room_for_is_lost_openly() {
        let tally = Tally::new();
        for number in 0..MAX_WAITING {
            tally.note(&read("ci", &format!("a/p{number}")), at(1));
        }
        let first = take(&tally);
        assert_eq!(first.len(), MAX_WAITING);
        // They are in memory still.
        assert_eq!(tally.note(&read("ci", "a/p0"), at(2)), Noted::Lost);
        assert_eq!(tally.note(&read("ci", "a/p1"), at(7)), Noted::Lost);
        tally.stored(first.len());
        assert_eq!(tally.note(&read("ci", "a/p0"), at(8)), Noted::New(1));
        let [kept, lost] = &take(&tally)[..] else {
            panic!("two records")
        };
        assert_eq!(kept.subject.as_deref(), Some("a/p0"));
        assert_eq!((lost.action, lost.count), (Action::AuditLost, 2));
        assert_eq!((lost.first, lost.last), (at(2), at(7)));
        assert_eq!(tally.waiting(), 2);
    }

    #[test]
    fn strangers_take_little_room() {
        let tally = Tally::new();
        for number in 0..10_000 {
            tally.note(&refused(number), at(1));
        }
        assert_eq!(tally.waiting(), MAX_STRANGERS + 1);
        let records = take(&tally);
        let other = records.iter().find(|record| record.address.is_none());
        assert_eq!(other.unwrap().count, 10_000 - MAX_STRANGERS as u64);
        // The next interval has room for others.
        tally.stored(records.len());
        assert_eq!(tally.note(&refused(70_000), at(9)), Noted::New(1));
        assert!(take(&tally)[0].address.is_some());
    }
}
