//! The CustomResourceDefinitions: what the derive gives, corrected where Kubernetes' conventions
//! ask for more, and rendered as YAML.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;
use serde_json::{Value, json};

use crate::{AccessToken, PackageBroker, Repository, yaml};

/// The API group of the three kinds.
pub const GROUP: &str = "package.broker";
/// The version of the three kinds.
pub const VERSION: &str = "v1alpha1";
/// What manifests of the three kinds write as `apiVersion`.
pub const API_VERSION: &str = "package.broker/v1alpha1";

/// The CustomResourceDefinitions of the three kinds, as `kubectl apply` takes them.
///
/// Differences from what the derive emits: optional fields are not `nullable` (absent is the one
/// way to leave a field out), and there are no empty lists or maps (a server that drops them
/// would look different from the manifest for ever).
pub fn definitions() -> Vec<Value> {
    [PackageBroker::crd(), Repository::crd(), AccessToken::crd()]
        .iter()
        .map(polished)
        .collect()
}

/// A definition as YAML with a line that says where it comes from.
pub fn render(definition: &Value) -> String {
    format!(
        "# Generated from the types in crds/src by `crdgen`. Do not edit.\n{}",
        yaml::emit(definition)
    )
}

fn polished(definition: &CustomResourceDefinition) -> Value {
    // Plain data without maps of other than string keys: this cannot fail.
    let mut value = serde_json::to_value(definition).unwrap_or_default();
    drop_nullable(&mut value);
    drop_empty(&mut value);
    default_status(&mut value);
    value
}

/// Status is written apart from the rest. Before the first look nothing was observed: without the default, kstatus takes
/// a new object for a finished one.
fn default_status(definition: &mut Value) {
    let versions = definition["spec"]["versions"].as_array_mut();
    for version in versions.into_iter().flatten() {
        // The one empty map that says something.
        version["subresources"]["status"] = json!({});
        let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"];
        if status.is_object() {
            status["default"] = json!({"observedGeneration": -1});
        }
    }
}

fn drop_nullable(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("nullable") == Some(&Value::Bool(true)) {
                fields.shift_remove("nullable");
            }
            fields.values_mut().for_each(drop_nullable);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nullable),
        _ => {}
    }
}

fn drop_empty(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(drop_empty);
            fields.retain(|_, field| !is_empty(field));
        }
        Value::Array(items) => items.iter_mut().for_each(drop_empty),
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything here is an API that users' manifests, scripts and role bindings depend on.
    #[test]
    fn group_kinds_and_names_are_frozen() {
        let names: Vec<String> = definitions()
            .iter()
            .map(|crd| {
                let names = &crd["spec"]["names"];
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                format!(
                    "{} {} {} {} {} {} {} {} {}",
                    text(&crd["metadata"]["name"]),
                    text(&crd["spec"]["group"]),
                    text(&crd["spec"]["versions"][0]["name"]),
                    text(&crd["spec"]["scope"]),
                    text(&names["kind"]),
                    text(&names["plural"]),
                    text(&names["singular"]),
                    names["shortNames"],
                    names["categories"],
                )
            })
            .collect();
        assert_eq!(
            names,
            [
                r#"packagebrokers.package.broker package.broker v1alpha1 Namespaced PackageBroker packagebrokers packagebroker ["pb"] ["package-broker"]"#,
                r#"repositories.package.broker package.broker v1alpha1 Namespaced Repository repositories repository ["pbrepo"] ["package-broker"]"#,
                r#"accesstokens.package.broker package.broker v1alpha1 Namespaced AccessToken accesstokens accesstoken ["pbtoken"] ["package-broker"]"#,
            ]
        );
        assert_eq!(API_VERSION, format!("{GROUP}/{VERSION}"));
    }

    #[test]
    fn committed_yaml_is_current() {
        for definition in definitions() {
            let name = definition["spec"]["names"]["plural"].as_str().unwrap();
            let path = format!("{}/yaml/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                committed == render(&definition),
                "{path} is out of date; run `cargo run -p package-broker-crds --bin crdgen`"
            );
        }
    }

    #[test]
    fn schemas_follow_the_conventions() {
        for definition in definitions() {
            let text = render(&definition);
            assert!(!text.contains("nullable"), "{text}");
            // The texts of Kubernetes' own types speak of empty maps.
            let text = text.replace("status: {}", "").replace("({})", "");
            assert!(!text.contains("[]") && !text.contains("{}"), "{text}");
            let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
            check_node(schema, "", false);
        }
    }

    /// Every field is described, every text and list bounded, no list item has a default. But for what is Kubernetes' own,
    /// and for the status, which only the operator writes.
    fn check_node(schema: &Value, path: &str, in_list: bool) {
        const NOT_OURS: [&str; 7] = [
            ".status",
            ".spec.resources",
            ".spec.sync.jobTemplate.resources",
            ".spec.networkPolicy.from[]",
            ".spec.podTemplate.tolerations[]",
            ".spec.podTemplate.affinity",
            ".spec.podTemplate.topologySpreadConstraints[]",
        ];
        if NOT_OURS.contains(&path) {
            return;
        }
        if in_list {
            assert!(
                schema.get("default").is_none(),
                "{path} has a default inside a list item"
            );
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            assert!(
                field["description"].is_string(),
                "{path} has no description"
            );
            check_node(field, &path, in_list);
        }
        match schema["type"].as_str() {
            Some("string") => assert!(
                schema
                    .get("maxLength")
                    .or(schema.get("enum"))
                    .or(schema.get("format"))
                    .is_some(),
                "{path} has no bound"
            ),
            Some("array") => {
                assert!(schema.get("maxItems").is_some(), "{path} has no bound");
                check_node(&schema["items"], &format!("{path}[]"), true);
            }
            Some("integer") => assert!(schema.get("maximum").is_some(), "{path} has no bound"),
            Some(_) => {}
            None => panic!("{path} has no type: {schema}"),
        }
    }
}
