//! What rules may cost: an API server refuses a definition whose rules could be too much work, and
//! stops evaluating a document that is.

use kube_cel::{ScopeContext, analyze_rule, compile_schema};
use serde_json::json;

use super::*;
use crate::definitions;

/// Each rule of a schema and its nodes, with the schema of its node.
fn rules(schema: &Value) -> Vec<(String, Value)> {
    let own = schema["x-kubernetes-validations"]
        .as_array()
        .into_iter()
        .flatten();
    let text = |rule: &Value| rule["rule"].as_str().unwrap().to_owned();
    let mut found: Vec<(String, Value)> = own.map(|rule| (text(rule), schema.clone())).collect();
    let fields = schema["properties"].as_object().into_iter().flatten();
    for (_, node) in fields {
        found.extend(rules(node));
    }
    if let Some(items) = schema.get("items") {
        found.extend(rules(items));
    }
    found
}

#[test]
fn every_rule_is_cheap_and_reads_only_what_it_may() {
    let mut count = 0;
    for definition in definitions() {
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        for (rule, node) in rules(schema) {
            let mut warnings =
                analyze_rule(&rule, &compile_schema(&node), ScopeContext::CrdValidation);
            // What a macro runs over is a variable that the analysis does not know.
            warnings.retain(|warning| !warning.message.starts_with("variable 'key'"));
            assert!(warnings.is_empty(), "{rule}: {warnings:?}");
            count += 1;
        }
    }
    assert!(count > 30, "only {count} rules were found");
}

#[test]
fn the_largest_lists_are_admitted() {
    let longest = |number: usize| format!("{}/{number:0>127}", "a".repeat(128));
    let names: Vec<String> = (0..256).map(longest).collect();
    assert!(names.iter().all(|name| name.len() == 256));
    let document = composer(json!({"packages": {"include": names}}));
    assert_eq!(verdict(&document), "");
}
