//! Minified metadata, both ways, with Composer's own minifier on the other side.

use package_broker_core::domain::metadata::Fields;
use package_broker_core::domain::metadata::minify;
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::composer::ask;
use super::generate::batches;

type Versions = Vec<Map<String, Value>>;

/// Lists that one question to PHP carries.
const LISTS: usize = 40;

/// Few values, so that neighbours often agree. None is an empty object, which PHP cannot tell from
/// an empty list.
fn value() -> impl Strategy<Value = Value> {
    let scalar = select(vec![
        json!("1.0"),
        json!(""),
        json!("é/\u{1F418}"),
        json!(true),
        json!(false),
        json!(0),
        json!(1.5),
        json!(1.0),
    ]);
    let map = btree_map("[a-c]{1,2}/[x-z]", "[~^][1-3]", 1..4);
    prop_oneof![
        4 => scalar,
        3 => map.clone().prop_map(|map| json!(map)),
        1 => map.prop_map(|map| map.into_iter().rev().map(|(key, value)| (key, json!(value))).collect::<Map<_, _>>().into()),
        1 => select(vec![json!([]), json!(["a"]), json!(["a", "b"]), json!([{"name": "A"}, {"name": "B"}])]),
    ]
}

fn versions(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Versions> {
    let keys = [
        "require",
        "extra",
        "abandoned",
        "license",
        "autoload",
        "time",
        "authors",
    ];
    let version = vec((select(keys.to_vec()), values), 0..6);
    vec(version, 0..12).prop_map(|versions| {
        let complete = |(index, pairs): (usize, Vec<(&str, Value)>)| {
            let named = [
                ("name", json!("acme/lib")),
                ("version", json!(index.to_string())),
            ];
            named
                .into_iter()
                .chain(pairs)
                .map(|(key, value)| (key.to_owned(), value))
                .collect()
        };
        versions.into_iter().enumerate().map(complete).collect()
    })
}

/// PHP writes an entry without differences as a list.
fn without_empty_lists(entries: Vec<Value>) -> Versions {
    entries
        .into_iter()
        .map(|entry| entry.as_object().cloned().unwrap_or_default())
        .collect()
}

fn minify(versions: &Versions) -> Vec<Fields> {
    let fields: Vec<Fields> = through_text(versions);
    minify::minify(&fields.iter().collect::<Vec<_>>())
}

fn expand(entries: &impl Serialize) -> Versions {
    through_text(&minify::expand(through_text(entries)))
}

fn through_text<T: DeserializeOwned>(value: &impl Serialize) -> T {
    let text = serde_json::to_string(value).expect("JSON can be written");
    serde_json::from_str(&text).expect("what was written can be read")
}

proptest! {
    #![proptest_config(batches(10))]

    #[test]
    fn both_minify_to_the_same(lists in vec(versions(value()), LISTS)) {
        for (list, theirs) in lists.iter().zip(ask::<_, Vec<Value>>("minify", &lists)) {
            prop_assert_eq!(through_text::<Versions>(&minify(list)), without_empty_lists(theirs));
        }
    }

    #[test]
    fn composer_expands_what_we_minify(lists in vec(versions(prop_oneof![9 => value(), 1 => Just(Value::Null)]), LISTS)) {
        let minified: Vec<_> = lists.iter().map(minify).collect();
        for (list, theirs) in lists.iter().zip(ask::<_, Versions>("expand", &minified)) {
            prop_assert_eq!(list, &theirs);
        }
    }

    #[test]
    fn we_expand_what_composer_minifies(lists in vec(versions(value()), LISTS)) {
        for (list, minified) in lists.iter().zip(ask::<_, Vec<Value>>("minify", &lists)) {
            prop_assert_eq!(&expand(&minified), list);
        }
    }

    #[test]
    fn we_expand_what_we_minify(lists in vec(versions(prop_oneof![9 => value(), 1 => Just(Value::Null)]), LISTS)) {
        for list in &lists {
            prop_assert_eq!(&expand(&minify(list)), list);
        }
    }
}
