//! The versions of one package out of a package file (protocol A.3).

use std::fmt;

use package_broker_core::domain::{
    metadata::{Fields, Raw, minify},
    names::PackageName,
    skipped::Skipped,
};
use serde::{
    Deserialize, Deserializer,
    de::{
        DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
        value::MapAccessDeserializer,
    },
};

/// What a package file says about one package.
#[derive(Debug, Default)]
pub(super) struct PackageFile {
    /// Whether the name is in the file at all. Clients take a file without it for empty.
    pub(super) present: bool,
    /// The versions, expanded.
    pub(super) versions: Vec<Fields>,
    /// Entries that are no versions.
    pub(super) skipped: Vec<Skipped>,
}

impl PackageFile {
    /// Reads a file once, front to back, leaving out all other packages.
    pub(super) fn parse(bytes: &[u8], name: &PackageName) -> serde_json::Result<Self> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let raw = FileSeed(name).deserialize(&mut deserializer)?;
        deserializer.end()?;
        let Some(entries) = raw.entries else {
            return Ok(Self::default());
        };
        let (versions, skipped) = split(entries);
        let versions = if raw.minified {
            minify::expand(versions)
        } else {
            versions
        };
        Ok(Self {
            present: true,
            versions,
            skipped,
        })
    }
}

/// Reads an inline package: an object version → entry, or a list of entries.
pub(super) fn inline_versions(raw: &Raw) -> serde_json::Result<(Vec<Fields>, Vec<Skipped>)> {
    serde_json::from_str::<Entries>(raw.text()).map(|entries| split(entries.0))
}

fn split(entries: Vec<Entry>) -> (Vec<Fields>, Vec<Skipped>) {
    let mut versions = Vec::with_capacity(entries.len());
    let mut skipped = Vec::new();
    for (at, entry) in entries.into_iter().enumerate() {
        match entry {
            Entry::Version(fields) => versions.push(fields),
            Entry::NoObject => skipped.push(Skipped::new(
                format!("entry {}", at + 1),
                "it is not an object",
            )),
        }
    }
    (versions, skipped)
}

/// One entry of a list of versions. What is no object is noted, so that the others still count.
enum Entry {
    Version(Fields),
    NoObject,
}

struct Entries(Vec<Entry>);

#[derive(Default)]
struct RawFile {
    entries: Option<Vec<Entry>>,
    minified: bool,
}

/// The whole file.
struct FileSeed<'a>(&'a PackageName);

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = RawFile;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<RawFile, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = RawFile;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the key packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawFile, A::Error> {
        let mut file = RawFile::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "packages" => file.entries = map.next_value_seed(PackagesSeed(self.0))?,
                "minified" => {
                    let flag: Raw = map.next_value()?;
                    file.minified = flag.read::<String>().as_deref() == Some("composer/2.0");
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(file)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<RawFile, A::Error> {
        empty(seq).map(|()| RawFile::default())
    }
}

/// The value of `packages`.
struct PackagesSeed<'a>(&'a PackageName);

impl<'de> DeserializeSeed<'de> for PackagesSeed<'_> {
    type Value = Option<Vec<Entry>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PackagesSeed<'_> {
    type Value = Option<Vec<Entry>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with package names as keys")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let wanted = self.0.as_str();
        let (mut exact, mut folded) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            if key == wanted {
                exact = Some(map.next_value::<Entries>()?.0);
            } else if key.eq_ignore_ascii_case(wanted) {
                folded = Some(map.next_value::<Entries>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(exact.or(folded))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        empty(seq).map(|()| None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of versions, or an object of them")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Vec::new();
        while let Some((IgnoredAny, entry)) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }

    fn visit_unit<E: Error>(self) -> Result<Entries, E> {
        Ok(Entries(Vec::new()))
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntryVisitor)
    }
}

struct EntryVisitor;

impl<'de> Visitor<'de> for EntryVisitor {
    type Value = Entry;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
        Fields::deserialize(MapAccessDeserializer::new(map)).map(Entry::Version)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Entry, A::Error> {
        if seq.next_element::<IgnoredAny>()?.is_none() {
            return Ok(Entry::Version(Fields::default()));
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Entry::NoObject)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Entry, E> {
        Ok(Entry::NoObject)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Entry, E> {
        Ok(Entry::NoObject)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Entry, E> {
        Ok(Entry::NoObject)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Entry, E> {
        Ok(Entry::NoObject)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Entry, E> {
        Ok(Entry::NoObject)
    }

    fn visit_unit<E: Error>(self) -> Result<Entry, E> {
        Ok(Entry::NoObject)
    }
}

fn empty<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    match seq.next_element::<IgnoredAny>()? {
        None => Ok(()),
        Some(_) => Err(A::Error::custom("a list where an object was expected")),
    }
}

#[cfg(test)]
mod tests;
