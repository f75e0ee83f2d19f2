//! What is generated of the charts' values: the tables in their READMEs, and the schemas that `helm` checks them by.
//!
//! `values.yaml` is regular: two blanks a level, a comment `# -- …` above each value that people set, lists in one line.

mod limits;
mod schema;

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{process::step, workspace};

/// The charts, and what their READMEs begin with.
const CHARTS: [(&str, &str); 2] = [
    ("package-broker-operator", include_str!("chart/operator.md")),
    ("package-broker-crds", include_str!("chart/crds.md")),
];

/// One value of the chart.
#[derive(Debug)]
struct Entry {
    path: Vec<String>,
    default: String,
    description: String,
}

/// One alert of the chart, as `files/alerts.yaml` has it.
#[derive(Debug, Default, PartialEq)]
struct Alert {
    name: String,
    severity: String,
    summary: String,
}

/// Writes the generated files, or checks that they are current.
pub(crate) fn chart(check: bool) -> Result<()> {
    for (name, about) in CHARTS {
        step(format!("writing the README and the schema of {name}"));
        let folder = workspace().join("charts").join(name);
        let entries = entries(&fs::read_to_string(folder.join("values.yaml"))?)?;
        let alerts = folder.join("files/alerts.yaml");
        let alerts = if alerts.is_file() {
            self::alerts(&fs::read_to_string(alerts)?)
        } else {
            Vec::new()
        };
        let schema = schema::schema(&entries, &alerts)?;
        put(&folder.join("values.schema.json"), &schema, check)?;
        let readme = readme(about, &entries, &alerts);
        put(&folder.join("README.md"), &readme, check)?;
    }
    Ok(())
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
            ensure!(
                level <= above.len() && !text.starts_with('-'),
                "values.yaml: too deep, or a list of several lines: {line}"
            );
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

/// The alerts, in the order of the file.
fn alerts(text: &str) -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("- alert: ") {
            alerts.push(Alert {
                name: name.to_owned(),
                ..Alert::default()
            });
        }
        let Some(alert) = alerts.last_mut() else {
            continue;
        };
        if let Some(severity) = line.strip_prefix("severity: ") {
            severity.clone_into(&mut alert.severity);
        } else if let Some(summary) = line.strip_prefix("summary: ") {
            summary.clone_into(&mut alert.summary);
        }
    }
    alerts
}

fn readme(about: &str, entries: &[Entry], alerts: &[Alert]) -> String {
    let mut text = String::from(about);
    text.push_str(
        "\n## Values\n\n\
         This table is made from `values.yaml` by `cargo xtask docs`.\n\n\
         | value | default | what it is |\n|---|---|---|\n",
    );
    let told = entries.iter().filter(|entry| !entry.description.is_empty());
    text.extend(told.map(|entry| {
        let default = match entry.default.as_str() {
            "" => "see `values.yaml`".to_owned(),
            default => format!("`{default}`"),
        };
        let (path, description) = (entry.path.join("."), &entry.description);
        format!("| `{path}` | {default} | {description} |\n")
    }));
    if !alerts.is_empty() {
        text.push_str(
            "\n## Alerts\n\n\
             With `metrics.prometheusRule.render`. This table is made from `files/alerts.yaml`.\n\n\
             | alert | severity | what it says |\n|---|---|---|\n",
        );
    }
    text.extend(alerts.iter().map(|alert| {
        let (name, severity, summary) = (&alert.name, &alert.severity, &alert.summary);
        format!("| `{name}` | {severity} | {summary} |\n")
    }));
    text
}

#[cfg(test)]
mod tests;
