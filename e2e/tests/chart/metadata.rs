//! `Chart.yaml`: what Artifact Hub shows is what there is.

use package_broker_crds::{
    VERSION, definitions,
    validation::{Kind, admit},
};
use serde_json::Value;

use super::support::{CHART, CRDS, documents, text};

fn chart(name: &str) -> Value {
    documents(&text(&format!("charts/{name}/Chart.yaml"))).remove(0)
}

/// An annotation, which is YAML itself.
fn annotation(chart: &Value, name: &str) -> Vec<Value> {
    let text = chart["annotations"][format!("artifacthub.io/{name}")]
        .as_str()
        .unwrap();
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn versions_are_those_of_the_workspace() {
    for name in [CHART, CRDS] {
        let chart = chart(name);
        assert_eq!(chart["name"], name);
        assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
        assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    }
    let images = annotation(&chart(CHART), "images");
    for (image, program) in images
        .iter()
        .zip(["package-broker-operator", "package-broker"])
    {
        let reference = format!("{program}:{}", env!("CARGO_PKG_VERSION"));
        assert!(
            image["image"].as_str().unwrap().ends_with(&reference),
            "{image}"
        );
    }
    assert_eq!(images.len(), 2);
}

#[test]
fn the_definitions_are_listed() {
    for name in [CHART, CRDS] {
        let listed = annotation(&chart(name), "crds");
        assert_eq!(listed.len(), definitions().len());
        for definition in definitions() {
            let name = &definition["metadata"]["name"];
            let found = listed.iter().find(|crd| crd["name"] == *name);
            let found = found.unwrap_or_else(|| panic!("{name} is not listed"));
            assert_eq!(found["kind"], definition["spec"]["names"]["kind"]);
            assert_eq!(found["version"], VERSION);
        }
    }
}

#[test]
fn the_examples_are_right() {
    let examples = annotation(&chart(CHART), "crdsExamples");
    assert_eq!(examples.len(), Kind::ALL.len());
    for example in examples {
        admitted(&example);
    }
}

#[test]
fn changes_are_of_kinds_that_there_are() {
    for name in [CHART, CRDS] {
        for change in annotation(&chart(name), "changes") {
            let kind = change["kind"].as_str().unwrap();
            assert!(
                [
                    "added",
                    "changed",
                    "deprecated",
                    "removed",
                    "fixed",
                    "security"
                ]
                .contains(&kind)
            );
            assert!(change["description"].is_string());
        }
    }
}

/// Panics unless an API server would take this.
pub(crate) fn admitted(document: &Value) {
    admit(document).unwrap_or_else(|errors| panic!("{document}: {errors:?}"));
}
