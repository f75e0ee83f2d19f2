use serde_json::json;

use super::*;

fn values(text: &str) -> Vec<Value> {
    parse(text)
        .unwrap()
        .into_iter()
        .map(|document| document.value)
        .collect()
}

fn error(text: &str) -> YamlError {
    parse(text).err().unwrap()
}

#[test]
fn scalars_are_what_kubernetes_takes_them_for() {
    let text = "{a: yes, b: Off, c: 'yes', d: 12, e: -1.5, f: 1e3, g: ~, h: null, i: text, j: !!str 5, \
                k: 2027-01-31T00:00:00Z, l: 1.2.3, m: 18446744073709551615, n: yEs, o: '', p: -x}";
    let expected = json!({"a": true, "b": false, "c": "yes", "d": 12, "e": -1.5, "f": 1000.0, "g": null,
        "h": null, "i": "text", "j": "5", "k": "2027-01-31T00:00:00Z", "l": "1.2.3",
        "m": 18_446_744_073_709_551_615_u64, "n": "yEs", "o": "", "p": "-x"});
    assert_eq!(values(text), [expected]);
}

#[test]
fn several_documents_and_empty_ones() {
    assert_eq!(
        values("---\n# nothing\n---\na: 1\n---\nb: |\n  x\n  y\n...\n"),
        [json!({"a": 1}), json!({"b": "x\ny\n"})]
    );
    assert_eq!(values(""), [] as [Value; 0]);
    assert_eq!(values("\u{feff}a: 1"), [json!({"a": 1})]);
}

#[test]
fn json_is_yaml() {
    assert_eq!(
        values("{\n\t\"a\": [1, true, null],\n\t\"b\": {\"c\": \"\\u00e9\\n\"}\n}\n"),
        [json!({"a": [1, true, null], "b": {"c": "é\n"}})]
    );
}

/// What the JSON writers of PHP and Python make of a rocket, and a few things that YAML reads otherwise.
#[test]
fn json_is_read_as_json() {
    let cases = [
        (
            r#"{"a": "\ud83d\ude80 \u00e9 \/"}"#,
            vec![json!({"a": "🚀 é /"})],
        ),
        (r#"{"a":1}{"b":2}"#, vec![json!({"a": 1}), json!({"b": 2})]),
        (
            "{\"a\":1}\n---\n{\"b\":2}\n---\n",
            vec![json!({"a": 1}), json!({"b": 2})],
        ),
        ("\u{feff}\r\n{\"a\":\r\n1}\r\n", vec![json!({"a": 1})]),
        (
            r#"{"a": [1, -0.5, 1e3, true, false, null, {}, [], "\"\\"]}"#,
            vec![json!({"a": [1, -0.5, 1e3, true, false, null, {}, [], "\"\\"]})],
        ),
        (
            r#"{"yes": "no", "<<": "x", "": "-"}"#,
            vec![json!({"yes": "no", "<<": "x", "": "-"})],
        ),
        ("{}", vec![json!({})]),
    ];
    for (text, expected) in cases {
        assert_eq!(values(text), expected, "{text}");
    }
    // Not JSON, but YAML.
    assert_eq!(
        values("{\"a\": 1, b: yes, # why\n}\n---\nc: d\n"),
        [json!({"a": 1, "b": true}), json!({"c": "d"})]
    );
    assert_eq!(values("{\"a\": 1,}"), [json!({"a": 1})]);
    let long = format!("{{\"{}\": 1}}", "k".repeat(5000));
    assert_eq!(values(&long).len(), 1, "names of any length");
}

#[test]
fn json_has_places_too() {
    let text = "{\"é\": 1,\n  \"spec\": {\"list\": [\n    1, {\"x\": 2}]}}\n{\"b\":\n[]}";
    let documents = parse(text).unwrap();
    let at = |document: usize, path: FieldPath| {
        let position = documents[document].positions.of(&path);
        (position.line, position.column)
    };
    let list = FieldPath::root().field("spec").field("list");
    assert_eq!(at(0, FieldPath::root().field("é")), (1, 2));
    assert_eq!(at(0, list.clone()), (2, 12));
    assert_eq!(at(0, list.index(0)), (3, 5));
    assert_eq!(at(0, list.index(1).field("x")), (3, 9));
    assert_eq!(at(1, FieldPath::root()), (4, 1));
}

#[test]
fn json_is_refused_with_place_and_reason() {
    let cases = [
        (
            "{\"a\": 1,\n \"b\": \"\\ud83d\"}",
            (2, 7),
            "a \\u escape that stands for no character",
        ),
        ("{\"a\": 1,\n \"a\": 2}", (2, 2), "\"a\" appears twice"),
        ("{\"a\": 1\n \"b\": 2}", (2, 5), "did not find expected ','"),
        ("{\"a\": \"x\ty\",\n \"b\": \"\\q\"}", (2, 7), "not YAML"),
        ("{\"a\": \"open}", (1, 7), "a string is not closed"),
        ("{\"a\": 99999999999999999999}", (1, 7), "too large"),
        ("{\"a\": 01}", (1, 7), "invalid number"),
        ("{\"a\": ", (2, 1), "not YAML"),
    ];
    for (text, place, fragment) in cases {
        let error = error(text);
        assert!(error.message.contains(fragment), "{text}: {error:?}");
        assert_eq!(
            (error.position.line, error.position.column),
            place,
            "{text}: {error:?}"
        );
    }
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    assert_eq!(values(&deep(60)).len(), 1);
    assert_eq!(error(&deep(70)).message, "nested too deeply");
    assert!(error(&deep(100_000)).message.contains("recursion limit"));
    let many = format!("{{\"a\": [{}1]}}", "1,".repeat(300_000));
    assert!(error(&many).message.contains("more than 200000"));
}

#[test]
fn items_of_a_list_keep_their_places() {
    let text = "kind: List\nitems:\n- kind: A\n  spec: {x: 1}\n- kind: B\n";
    let items = parse(text).unwrap().remove(0).into_items();
    let kinds: Vec<&Value> = items.iter().map(|item| &item.value["kind"]).collect();
    assert_eq!(kinds, ["A", "B"]);
    let x = FieldPath::root().field("spec").field("x");
    assert_eq!(items[0].positions.of(&x).line, 4);
    assert_eq!(items[1].positions.of(&x).line, 5);
    assert_eq!(parse("items: 5").unwrap().remove(0).into_items().len(), 0);
}

#[test]
fn fields_remember_where_they_stood() {
    let documents =
        parse("a: 1\n---\nspec:\n  list:\n  - x\n  -  name: y\n  deep: {k: v}\n").unwrap();
    let positions = &documents[1].positions;
    let at = |path: FieldPath| {
        let position = positions.of(&path);
        (position.line, position.column)
    };
    let spec = FieldPath::root().field("spec");
    assert_eq!(at(spec.clone()), (3, 1));
    assert_eq!(at(spec.field("list").index(1).field("name")), (6, 6));
    assert_eq!(at(spec.field("deep").field("k")), (7, 10));
    assert_eq!(
        at(spec.field("missing").field("more")),
        (3, 1),
        "the nearest that exists"
    );
    assert_eq!(
        at(FieldPath::root().field("kind")),
        (3, 1),
        "the start of the document"
    );
}

#[test]
fn anchors_and_merge_keys() {
    let text =
        "base: &b {x: 1, y: 2}\ncopy: *b\nmerged:\n  <<: *b\n  y: 3\nboth:\n  <<: [{x: 9}, *b]\n";
    assert_eq!(
        values(text),
        [
            json!({"base": {"x": 1, "y": 2}, "copy": {"x": 1, "y": 2}, "merged": {"y": 3, "x": 1}, "both": {"x": 9, "y": 2}})
        ]
    );
}

#[test]
fn refuses_with_place_and_reason() {
    let cases = [
        ("a: 1\nb: 2\na: 3\n", 3, "appears twice"),
        ("a: {b: 1, b: 2}\n", 1, "appears twice"),
        ("a: [1, 2\n", 2, "not YAML"),
        ("a: 1\n  b: 2\n", 2, "not YAML"),
        ("a: \"open\n", 1, "not YAML"),
        ("a: *nobody\n", 1, "not YAML"),
        ("a: &x [*x]\n", 1, "not complete yet"),
        ("a: !custom x\n", 1, "tags have no meaning"),
        ("a: !!binary aGk=\n", 1, "tags have no meaning"),
        ("? [a]\n: b\n", 1, "not a text"),
        ("a:\n  b: 010\n", 2, "leading zero"),
        ("a: -0x1F\n", 1, "leading zero, base or underscore"),
        ("a: 1_000\n", 1, "leading zero, base or underscore"),
        ("a: .inf\n", 1, "JSON does not have"),
        ("a: 99999999999999999999\n", 1, "too large"),
        ("a:\n  <<: text\n", 2, "fields of a map"),
        ("a: @x\n", 1, "not YAML"),
    ];
    for (text, line, fragment) in cases {
        let error = error(text);
        assert!(error.message.contains(fragment), "{text}: {error:?}");
        assert_eq!(error.position.line, line, "{text}: {error:?}");
    }
}

#[test]
fn bombs_are_bounded() {
    let deep = "- ".repeat(100_000) + "x";
    assert_eq!(error(&deep).message, "nested too deeply");
    assert!(!error(&"[".repeat(100_000)).message.is_empty());
    let mut laughs = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for (next, last) in ["b", "c", "d", "e", "f", "g"]
        .into_iter()
        .zip(["a", "b", "c", "d", "e", "f"])
    {
        let items = vec![format!("*{last}"); 10].join(",");
        laughs = format!(
            "{laughs}{next}: &{next} [{items}]
"
        );
    }
    assert!(error(&laughs).message.contains("more than 200000"));
    assert!(
        error(&format!("[{}]", "x,".repeat(300_000)))
            .message
            .contains("more than 200000")
    );
}
