//! A map of what ends by itself, bounded by bytes.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Instant,
};

/// What an entry costs besides the bytes of its key: its value, two map slots and the maps' spare room.
const OVERHEAD: usize = 192;

/// How many ended entries a new one clears away: more than one, so that they go faster than they come.
const SWEEP: usize = 2;

/// Small values by key, each with an end. If there is no room for one, those that were put first go.
#[derive(Debug)]
pub struct Bounded<V> {
    max_bytes: usize,
    bytes: usize,
    /// How often something was put: the age of the next.
    puts: u64,
    by_key: HashMap<Arc<str>, Entry<V>>,
    /// Every key in `by_key` by its entry's age.
    by_age: BTreeMap<u64, Arc<str>>,
}

#[derive(Debug)]
struct Entry<V> {
    age: u64,
    ends: Instant,
    value: V,
}

impl<V> Bounded<V> {
    /// An empty map that takes at most `max_bytes`, keys and bookkeeping included. A key that does not fit at all is
    /// not remembered.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            puts: 0,
            by_key: HashMap::new(),
            by_age: BTreeMap::new(),
        }
    }

    /// Bytes it takes now.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The value of a key and when it ends, if it has not ended.
    pub fn get(&mut self, key: &str, now: Instant) -> Option<(&mut V, Instant)> {
        let entry = self.by_key.get_mut(key).filter(|entry| now < entry.ends)?;
        Some((&mut entry.value, entry.ends))
    }

    /// Puts a value in place of the one its key may have.
    pub fn put(&mut self, key: &str, value: V, ends: Instant, now: Instant) {
        let present = self.by_key.get(key).map(|entry| entry.age);
        let known = present.and_then(|age| self.forget(age));
        self.sweep(now);
        let cost = cost(key);
        if cost > self.max_bytes {
            return;
        }
        while self.bytes + cost > self.max_bytes
            && let Some(oldest) = self.oldest()
        {
            self.forget(oldest);
        }
        let key = known.unwrap_or_else(|| key.into());
        let age = self.puts;
        self.by_age.insert(age, Arc::clone(&key));
        self.by_key.insert(key, Entry { age, ends, value });
        self.puts += 1;
        self.bytes += cost;
    }

    fn sweep(&mut self, now: Instant) {
        for _ in 0..SWEEP {
            let ended = self.by_age.first_key_value().filter(|(_, key)| {
                let entry = self.by_key.get(*key);
                entry.is_none_or(|entry| entry.ends <= now)
            });
            let Some((&age, _)) = ended else { return };
            self.forget(age);
        }
    }

    fn oldest(&self) -> Option<u64> {
        self.by_age.first_key_value().map(|(&age, _)| age)
    }

    fn forget(&mut self, age: u64) -> Option<Arc<str>> {
        let key = self.by_age.remove(&age)?;
        self.by_key.remove(&key);
        self.bytes -= cost(&key);
        Some(key)
    }
}

fn cost(key: &str) -> usize {
    key.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn values(map: &mut Bounded<u32>, keys: &[&str], now: Instant) -> Vec<Option<u32>> {
        let value = |key: &&str| map.get(key, now).map(|(value, _)| *value);
        keys.iter().map(value).collect()
    }

    #[test]
    fn an_entry_ends_on_time() {
        let mut map = Bounded::new(1 << 20);
        let start = Instant::now();
        map.put("a", 1, start + MINUTE, start);
        assert_eq!(map.get("a", start), Some((&mut 1, start + MINUTE)));
        map.put("b", 2, start + 2 * MINUTE, start);
        assert_eq!(
            values(&mut map, &["a", "b"], start + MINUTE),
            [None, Some(2)]
        );
    }

    #[test]
    fn those_put_first_go_when_there_is_no_room() {
        let mut map = Bounded::new(2 * cost("a"));
        let now = Instant::now();
        for (value, key) in ["a", "b", "a", "c"].into_iter().enumerate() {
            map.put(key, u32::try_from(value).unwrap(), now + MINUTE, now);
        }
        assert_eq!(
            values(&mut map, &["a", "b", "c"], now),
            [Some(2), None, Some(3)]
        );
        assert_eq!(map.bytes, 2 * cost("a"));
    }

    #[test]
    fn ended_entries_go_as_new_ones_come() {
        let mut map = Bounded::new(1 << 20);
        let start = Instant::now();
        for number in 0..1000 {
            map.put(&format!("old-{number}"), number, start + MINUTE, start);
        }
        let later = start + MINUTE;
        for number in 0..600 {
            map.put(&format!("new-{number}"), number, later + MINUTE, later);
        }
        assert_eq!(map.by_key.len(), 600);
        assert_eq!(map.by_age.len(), 600);
        let bytes: usize = map.by_key.keys().map(|key| cost(key)).sum();
        assert_eq!(map.bytes, bytes);
    }

    #[test]
    fn a_key_larger_than_the_bound_is_not_kept() {
        let mut map = Bounded::new(OVERHEAD);
        let now = Instant::now();
        map.put("long", 1, now + MINUTE, now);
        assert_eq!(values(&mut map, &["long"], now), [None]);
        assert_eq!(map.bytes, 0);
    }
}
