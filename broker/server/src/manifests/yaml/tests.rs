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
