//! The `CustomResourceDefinitions`: in both charts, the same as in `crds/yaml`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::support::{CHART, CRDS, documents, plain, set, template, text};

const PLURALS: [&str; 3] = ["accesstokens", "packagebrokers", "repositories"];

/// The definitions that a chart renders, by name.
fn rendered(chart: &str, values: &[&str]) -> BTreeMap<String, Value> {
    let text = template(chart, &set(values)).success().unwrap().stdout;
    let mut documents = documents(&text);
    documents.retain(|document| document["kind"] == "CustomResourceDefinition");
    let name = |document: &Value| document["metadata"]["name"].as_str().unwrap().to_owned();
    documents
        .into_iter()
        .map(|document| (name(&document), document))
        .collect()
}

#[test]
fn both_charts_have_the_same_definitions() {
    for chart in [CHART, CRDS] {
        let found = rendered(chart, &[]);
        assert_eq!(found.len(), 3, "{chart}");
        for plural in PLURALS {
            let committed = text(&format!("crds/yaml/{plural}.yaml"));
            let file = text(&format!("charts/{chart}/files/crds/{plural}.yaml"));
            assert!(
                committed == file,
                "{chart}: {plural} is another: run `cargo xtask crds`"
            );
            let committed = &documents(&committed)[0];
            let found = &found[&format!("{plural}.package.broker")];
            assert_eq!(
                plain(found["spec"].clone()),
                plain(committed["spec"].clone()),
                "{chart}: {plural}"
            );
        }
    }
}

/// What people have of these kinds must not go with a release.
#[test]
fn definitions_are_kept_unless_told_otherwise() {
    for (chart, keep) in [(CHART, "crds.keep=false"), (CRDS, "keep=false")] {
        let policy = |definition: &Value| {
            definition["metadata"]["annotations"]["helm.sh/resource-policy"].clone()
        };
        assert!(
            rendered(chart, &[])
                .values()
                .all(|definition| policy(definition) == "keep")
        );
        assert!(
            rendered(chart, &[keep])
                .values()
                .all(|definition| policy(definition).is_null())
        );
    }
}

#[test]
fn definitions_can_be_left_to_others() {
    assert_eq!(rendered(CHART, &["crds.enabled=false"]).len(), 0);
}

#[test]
fn definitions_bear_labels_and_annotations() {
    let values = [
        "commonLabels.team=php",
        r"annotations.argocd\.argoproj\.io/sync-wave=-1",
    ];
    let strings: Vec<&str> = values
        .iter()
        .flat_map(|value| ["--set-string", value])
        .collect();
    let text = template(CRDS, &strings).success().unwrap().stdout;
    for definition in documents(&text) {
        let metadata = &definition["metadata"];
        assert_eq!(metadata["labels"]["team"], "php");
        assert_eq!(metadata["labels"]["app.kubernetes.io/instance"], "operator");
        assert_eq!(
            metadata["annotations"]["argocd.argoproj.io/sync-wave"],
            "-1"
        );
        assert_eq!(metadata["annotations"]["helm.sh/resource-policy"], "keep");
    }
}
