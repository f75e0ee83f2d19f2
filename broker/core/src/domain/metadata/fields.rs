//! One version's keys and values, with values left as the JSON text they came in.
//!
//! A minified document repeats most values from version to version. Values are shared and never parsed unless a
//! rule has to look inside, so that a repository of 150 000 versions costs what its differences cost.

use std::{collections::HashMap, fmt, sync::Arc};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, MapAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

/// Keys kept of one version; real ones have about 30. Look-ups are linear, so that many more would be an attack.
const MAX_KEYS: usize = 256;

/// A JSON value as text; cheap to clone.
#[derive(Clone)]
pub struct Raw(Arc<RawValue>);

impl Raw {
    /// Encodes a value. Values that cannot be JSON become `null`.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Self {
        Self(
            serde_json::value::to_raw_value(value)
                .map_or_else(|_| RawValue::NULL.to_owned().into(), Arc::from),
        )
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Decodes the value as a type, or nothing if it is of another shape.
    pub fn read<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_str(self.text()).ok()
    }

    /// Whether the value is this string, written without escapes.
    pub fn is_text(&self, text: &str) -> bool {
        self.text()
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            == Some(text)
    }

    /// Whether the value is `null`, `[]` or `{}`: how PHP peers write "nothing" (protocol A.3).
    pub fn is_nothing(&self) -> bool {
        let text = self.text();
        text == "null" || (text.len() < 16 && matches!(inner(text), Some("")))
    }
}

/// What stands between the brackets or braces, without blanks around it.
fn inner(text: &str) -> Option<&str> {
    let list = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let map = text
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    list.or(map).map(str::trim)
}

/// The same JSON on one line: hand-written files are indented, and their blanks would be served with every version.
fn without_blanks(text: &str) -> String {
    let mut compact = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
        } else if character.is_ascii_whitespace() {
            continue;
        } else {
            in_string = character == '"';
        }
        compact.push(character);
    }
    compact
}

impl PartialEq for Raw {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.text() == other.text()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if !raw.get().contains('\n') {
            return Ok(Self(raw.into()));
        }
        let compact = RawValue::from_string(without_blanks(raw.get()));
        compact
            .map(|raw| Self(raw.into()))
            .map_err(serde::de::Error::custom)
    }
}

/// The keys and values of one version, in their order. Of a key given twice the last value stands, as in PHP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<(Arc<str>, Raw)>);

impl Fields {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        self.0
            .iter()
            .find(|(name, _)| &**name == key)
            .map(|(_, value)| value)
    }

    /// The value of a key that is likely to be at a place, as it is in the version before.
    pub(super) fn get_near(&self, place: usize, key: &Arc<str>) -> Option<&Raw> {
        match self.0.get(place) {
            Some((name, value)) if Arc::ptr_eq(name, key) || name == key => Some(value),
            _ => self.get(key),
        }
    }

    /// The value of a key decoded as a type; nothing where the key is absent or of another shape.
    pub fn read<T: DeserializeOwned>(&self, key: &str) -> Option<T> {
        self.get(key)?.read()
    }

    /// Sets a key, in its place if it is there, else at the end.
    pub fn set(&mut self, key: &str, value: Raw) {
        match self.0.iter_mut().find(|(name, _)| &**name == key) {
            Some(entry) => entry.1 = value,
            None => self.0.push((shared(key), value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) {
        self.0.retain(|(name, _)| &**name != key);
    }

    /// Keeps only the entries that pass.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &Raw) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
    }

    /// The entries in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Raw)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends without looking for the key: for callers that know it is new.
    pub(crate) fn push(&mut self, key: Arc<str>, value: Raw) {
        self.0.push((key, value));
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(&**key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldsVisitor)
    }
}

/// A key as it is read. Those that every version has are shared instead of copied.
struct Key(Arc<str>);

/// The keys of protocol A.12.
const KNOWN_KEYS: [&str; 32] = [
    "name",
    "version",
    "version_normalized",
    "description",
    "keywords",
    "homepage",
    "license",
    "authors",
    "source",
    "dist",
    "type",
    "support",
    "funding",
    "time",
    "published-time",
    "autoload",
    "autoload-dev",
    "extra",
    "require",
    "require-dev",
    "conflict",
    "replace",
    "provide",
    "suggest",
    "bin",
    "abandoned",
    "default-branch",
    "notification-url",
    "archive",
    "target-dir",
    "include-path",
    "uid",
];

thread_local! {
    static SHARED_KEYS: HashMap<&'static str, Arc<str>> =
        KNOWN_KEYS.into_iter().map(|key| (key, Arc::from(key))).collect();
}

/// A key without a copy of its text, if it is a known one.
pub(super) fn shared(key: &str) -> Arc<str> {
    let known = SHARED_KEYS.with(|keys| keys.get(key).cloned());
    known.unwrap_or_else(|| key.into())
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<Key, E> {
        Ok(Key(shared(key)))
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, or an empty list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields(Vec::with_capacity(map.size_hint().unwrap_or(16)));
        while let Some((Key(key), value)) = map.next_entry::<Key, Raw>()? {
            let full = fields.len() >= MAX_KEYS;
            match fields.0.iter_mut().find(|(name, _)| *name == key) {
                Some(entry) => entry.1 = value,
                None if full => {}
                None => fields.push(key, value),
            }
        }
        Ok(fields)
    }

    /// PHP writes an entry without differences as `[]`.
    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Fields, A::Error> {
        match seq.next_element::<serde::de::IgnoredAny>()? {
            None => Ok(Fields::default()),
            Some(_) => Err(serde::de::Error::custom(
                "a list where an object was expected",
            )),
        }
    }
}

impl FromIterator<(Arc<str>, Raw)> for Fields {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Raw)>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_text() {
        let fields: Fields = serde_json::from_str(r#"{"a":{"x": 1.50},"b":[],"a2":null}"#).unwrap();
        assert_eq!(fields.get("a").unwrap().text(), r#"{"x": 1.50}"#);
        assert!(fields.get("b").unwrap().is_nothing());
        assert!(fields.get("a2").unwrap().is_nothing());
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            r#"{"a":{"x": 1.50},"b":[],"a2":null}"#
        );
    }

    #[test]
    fn indentation_is_not_kept() {
        let fields: Fields =
            serde_json::from_str("{\"a\":{\n  \"x y\\\"  \": [1,\n 2]\n}}").unwrap();
        assert_eq!(fields.get("a").unwrap().text(), r#"{"x y\"  ":[1,2]}"#);
    }

    #[test]
    fn an_empty_list_is_an_empty_entry() {
        assert!(serde_json::from_str::<Fields>("[]").unwrap().is_empty());
        assert!(serde_json::from_str::<Fields>("[1]").is_err());
    }

    #[test]
    fn set_and_remove_keep_the_order() {
        let mut fields: Fields = serde_json::from_str(r#"{"a":1,"b":2,"c":3}"#).unwrap();
        fields.set("b", Raw::of("x"));
        fields.remove("a");
        fields.set("d", Raw::of(&true));
        assert_eq!(
            serde_json::to_string(&fields).unwrap(),
            r#"{"b":"x","c":3,"d":true}"#
        );
    }
}
