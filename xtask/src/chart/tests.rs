use serde_json::{Value, json};

use super::*;

#[test]
fn the_generated_files_are_current() {
    chart(true).unwrap();
}

#[test]
fn values_are_read_with_their_descriptions() {
    let text = "# About.\n# -- First\n# line two.\na: 1\nb:\n  # -- Inner.\n  c: []\n# -- Whole.\nd:\n  e:\n    f: x\n";
    let entries = entries(text).unwrap();
    let told: Vec<(String, &str)> = entries
        .iter()
        .map(|entry| (entry.path.join("."), entry.description.as_str()))
        .collect();
    let expected = [
        ("a", "First line two."),
        ("b", ""),
        ("b.c", "Inner."),
        ("d", "Whole."),
        ("d.e", ""),
        ("d.e.f", ""),
    ];
    assert_eq!(told, expected.map(|(path, text)| (path.to_owned(), text)));
    let schema: Value = serde_json::from_str(&schema::schema(&entries, &[]).unwrap()).unwrap();
    assert_eq!(schema["properties"]["a"]["type"], "integer");
    assert_eq!(
        schema["properties"]["b"]["properties"]["c"],
        json!({"type": "array", "items": {"type": "object"}, "description": "Inner."})
    );
    // What is below a whole value is not judged.
    assert_eq!(
        schema["properties"]["d"],
        json!({"type": "object", "description": "Whole."})
    );
}

#[test]
fn lists_of_several_lines_are_no_values() {
    assert!(entries("a:\n  - b: c\n").is_err());
}

#[test]
fn alerts_are_read_in_their_order() {
    let text = "- name: group\n  rules:\n    - alert: A\n      severity: info\n      summary: First\n    - alert: B\n      summary: Second\n";
    let alert = |name: &str, severity: &str, summary: &str| Alert {
        name: name.to_owned(),
        severity: severity.to_owned(),
        summary: summary.to_owned(),
    };
    assert_eq!(
        alerts(text),
        [alert("A", "info", "First"), alert("B", "", "Second")]
    );
}

/// A limit for a value that is none would limit nothing.
#[test]
fn limits_are_of_values_that_there_are() {
    let mut paths = Vec::new();
    for (name, _) in CHARTS {
        let file = workspace().join("charts").join(name).join("values.yaml");
        let entries = entries(&fs::read_to_string(file).unwrap()).unwrap();
        paths.extend(entries.iter().map(|entry| entry.path.join(".")));
    }
    for (path, _) in limits::limits() {
        assert!(paths.iter().any(|known| known == path), "{path}");
    }
}
