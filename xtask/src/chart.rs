//! What is generated of the chart's values: the table in its README, and the schema that `helm` checks them by.
//!
//! `values.yaml` is regular: two blanks a level, a comment `# -- …` above each value that people set.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::{process::step, workspace};

/// Values of which only some words are right.
const WORDS: &[(&str, &[&str])] = &[
    ("image.pullPolicy", &["Always", "IfNotPresent", "Never"]),
    (
        "metrics.serviceMonitor.render",
        &["auto", "always", "never"],
    ),
];

/// One value of the chart.
#[derive(Debug)]
struct Entry {
    path: Vec<String>,
    default: String,
    description: String,
}

/// Writes the generated files, or checks that they are current.
pub(crate) fn chart(check: bool) -> Result<()> {
    step("writing the chart's README and schema");
    let folder = workspace().join("charts/package-broker-operator");
    let values = fs::read_to_string(folder.join("values.yaml"))?;
    let entries = entries(&values)?;
    put(
        &folder.join("values.schema.json"),
        &schema(&entries)?,
        check,
    )?;
    put(&folder.join("README.md"), &readme(&entries), check)
}

fn put(path: &Path, text: &str, check: bool) -> Result<()> {
    if !check {
        return fs::write(path, text).with_context(|| path.display().to_string());
    }
    ensure!(
        fs::read_to_string(path).unwrap_or_default() == text,
        "{} is out of date; run `cargo xtask docs`",
        path.display()
    );
    Ok(())
}

/// The values, in the order of the file.
fn entries(values: &str) -> Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut above: Vec<String> = Vec::new();
    let mut description = String::new();
    for line in values.lines() {
        let text = line.trim_start();
        if let Some(comment) = text.strip_prefix("# -- ") {
            description = String::from(comment);
        } else if let Some(comment) = text.strip_prefix("# ") {
            if !description.is_empty() {
                description = format!("{description} {comment}");
            }
        } else if let Some((key, default)) = text.split_once(':') {
            let level = (line.len() - text.len()) / 2;
            ensure!(level <= above.len(), "values.yaml: too deep: {line}");
            above.truncate(level);
            above.push(key.to_owned());
            entries.push(Entry {
                path: above.clone(),
                default: default.trim().to_owned(),
                description: std::mem::take(&mut description),
            });
        }
    }
    Ok(entries)
}

fn readme(entries: &[Entry]) -> String {
    let mut text = String::from(
        "# package-broker-operator\n\n\
         Private Composer registries for PHP teams, declared as Kubernetes resources. What the operator does is in\n\
         [docs/operator.md](../../docs/operator.md).\n\n\
         ## Values\n\n\
         This table is made from `values.yaml` by `cargo xtask docs`.\n\n\
         | value | default | what it is |\n|---|---|---|\n",
    );
    for entry in entries.iter().filter(|entry| !entry.description.is_empty()) {
        let default = match entry.default.as_str() {
            "" => "see `values.yaml`".to_owned(),
            default => format!("`{default}`"),
        };
        let path = entry.path.join(".");
        text.extend([
            "| `",
            &path,
            "` | ",
            &default,
            " | ",
            &entry.description,
            " |\n",
        ]);
    }
    text
}

fn schema(entries: &[Entry]) -> Result<String> {
    let mut root = object();
    for entry in entries {
        let Some((key, above)) = entry.path.split_last() else {
            continue;
        };
        let mut at = root.get_mut("properties");
        for key in above {
            let value = at.and_then(|properties| properties.get_mut(key));
            at = value.and_then(|value| value.get_mut("properties"));
        }
        // Below a value that people give as a whole, everything is theirs.
        if let Some(properties) = at {
            properties[key.as_str()] = property(entry);
        }
    }
    root["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    Ok(serde_json::to_string_pretty(&root)? + "\n")
}

fn object() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": Map::new()})
}

fn property(entry: &Entry) -> Value {
    let mut property = match entry.default.as_str() {
        // A value of its own with others below it, `resources` for instance.
        "" if !entry.description.is_empty() => json!({"type": "object"}),
        "" => object(),
        "{}" => json!({"type": "object"}),
        "[]" => json!({"type": "array"}),
        "true" | "false" => json!({"type": "boolean"}),
        number if number.parse::<u32>().is_ok() => json!({"type": "integer", "minimum": 0}),
        _ => json!({"type": "string"}),
    };
    let path = entry.path.join(".");
    if let Some((_, words)) = WORDS.iter().find(|(known, _)| *known == path) {
        property["enum"] = json!(words);
    }
    if !entry.description.is_empty() {
        property["description"] = entry.description.as_str().into();
    }
    property
}

#[cfg(test)]
mod tests {
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
        let schema: Value = serde_json::from_str(&schema(&entries).unwrap()).unwrap();
        assert_eq!(schema["properties"]["a"]["type"], "integer");
        assert_eq!(
            schema["properties"]["b"]["properties"]["c"]["type"],
            "array"
        );
        // What is below a whole value is not judged.
        assert_eq!(
            schema["properties"]["d"],
            json!({"type": "object", "description": "Whole."})
        );
    }
}
