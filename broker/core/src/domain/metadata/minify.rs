//! Composer's `minified: "composer/2.0"` (protocol A.3): each entry holds only what differs from the one before it.
//!
//! Values are compared as JSON text. Two texts of one value that differ in blanks or in the order of keys count as
//! different, and the value is written again: larger than it could be, never wrong.

use std::sync::Arc;

use super::fields::{Fields, Raw};

/// The value that stands for "this key is gone".
const UNSET: &str = "\"__unset\"";

/// Entries that [`expand`] and every Composer client turn back into `versions`. The first is written in full.
///
/// Two values are not what they seem: the string `"__unset"` means a missing key, and `null`, which PHP's own
/// minifier takes for a missing key, is kept here as a value.
pub fn minify(versions: &[&Fields]) -> Vec<Fields> {
    let mut minified = Vec::with_capacity(versions.len());
    let mut previous: Option<&Fields> = None;
    for &version in versions {
        minified.push(
            previous.map_or_else(|| version.clone(), |previous| difference(previous, version)),
        );
        previous = Some(version);
    }
    minified
}

fn difference(previous: &Fields, version: &Fields) -> Fields {
    let mut entry = Fields::default();
    for (place, (key, value)) in version.iter().enumerate() {
        if previous.get_near(place, key) != Some(value) {
            entry.push(Arc::clone(key), value.clone());
        }
    }
    for (place, (key, _)) in previous.iter().enumerate() {
        if version.get_near(place, key).is_none() {
            entry.push(Arc::clone(key), Raw::of("__unset"));
        }
    }
    entry
}

/// Every version in full, from minified entries, as `Composer\MetadataMinifier` expands them. An entry without
/// differences may be empty. Keys keep the place they had in the version before; new ones come last.
///
/// Where nothing can be unset, in the first entry, PHP leaves the text `__unset` as a value; here the key is absent.
pub fn expand(entries: Vec<Fields>) -> Vec<Fields> {
    let mut expanded: Vec<Fields> = Vec::with_capacity(entries.len());
    for entry in entries {
        let full = match expanded.last() {
            None => without_unset(entry),
            Some(previous) => overlay(previous, &entry),
        };
        expanded.push(full);
    }
    expanded
}

fn without_unset(mut entry: Fields) -> Fields {
    entry.retain(|_, value| value.text() != UNSET);
    entry
}

fn overlay(previous: &Fields, entry: &Fields) -> Fields {
    let mut full = previous.clone();
    for (key, value) in entry.iter() {
        if value.text() == UNSET {
            full.remove(key);
        } else {
            full.set(key, value.clone());
        }
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Fields> {
        serde_json::from_str(text).unwrap()
    }

    fn minified(versions: &[Fields]) -> Vec<Fields> {
        minify(&versions.iter().collect::<Vec<_>>())
    }

    fn written(entries: &[Fields]) -> String {
        serde_json::to_string(entries).unwrap()
    }

    #[test]
    fn only_differences_are_written() {
        let versions = parse(
            r#"[{"name":"a/b","version":"2","x":{"k":1}},{"name":"a/b","version":"1","y":[]}]"#,
        );
        let entries = minified(&versions);
        let expected =
            r#"[{"name":"a/b","version":"2","x":{"k":1}},{"version":"1","y":[],"x":"__unset"}]"#;
        assert_eq!(written(&entries), expected);
        assert_eq!(expand(entries), versions);
    }

    #[test]
    fn a_changed_value_is_written_whole() {
        let versions =
            parse(r#"[{"require":{"php":"8","a/b":"1"}},{"require":{"php":"8","a/b":"2"}}]"#);
        assert_eq!(written(&minified(&versions)), written(&versions));
    }

    #[test]
    fn entries_without_differences_may_be_lists() {
        let expanded = expand(parse(r#"[{"version":"1"},[],{}]"#));
        assert_eq!(expanded.len(), 3);
        assert_eq!(expanded[2].get("version").unwrap().text(), "\"1\"");
    }

    #[test]
    fn a_key_can_leave_and_come_back() {
        let versions = parse(r#"[{"a":1,"b":2},{"a":1},{"a":1,"b":2}]"#);
        let entries = minified(&versions);
        assert_eq!(
            written(&entries),
            r#"[{"a":1,"b":2},{"b":"__unset"},{"b":2}]"#
        );
        assert_eq!(expand(entries), versions);
    }

    #[test]
    fn the_order_of_nested_keys_is_a_difference() {
        let versions = parse(r#"[{"psr-4":{"A":"a","B":"b"}},{"psr-4":{"B":"b","A":"a"}}]"#);
        assert_eq!(minified(&versions), versions);
    }

    #[test]
    fn null_is_a_value() {
        let versions = parse(r#"[{"time":"now"},{"time":null},{"time":null},{}]"#);
        let entries = minified(&versions);
        assert_eq!(
            written(&entries),
            r#"[{"time":"now"},{"time":null},{},{"time":"__unset"}]"#
        );
        assert_eq!(expand(entries), versions);
    }

    #[test]
    fn nothing_stays_nothing() {
        assert!(minify(&[]).is_empty());
        assert!(expand(Vec::new()).is_empty());
    }
}
