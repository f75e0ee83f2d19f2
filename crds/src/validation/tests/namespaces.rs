//! Objects of other namespaces: what is refused, and its good neighbour.

use serde_json::json;

use super::*;

fn rules(repositories: &Value) -> Value {
    broker(json!({"allowedNamespaces": {"repositories": repositories}}))
}

#[test]
fn accepts_namespaces() {
    for rule in [
        json!({}),
        json!({"from": "Same"}),
        json!({"from": "All"}),
        json!({"from": "Selector", "selector": {"matchLabels": {"example.com/team": "php"}}}),
    ] {
        assert_eq!(verdict(&rules(&rule)), "", "{rule}");
    }
    let elsewhere = json!({"brokerRef": {"name": "main", "namespace": "packages"}});
    assert_eq!(verdict(&composer(elsewhere)), "");
}

#[test]
fn rejects_namespaces() {
    let selector = "spec.allowedNamespaces.repositories.selector: a selector goes with from: Selector and with nothing else; write both, or neither";
    for (rule, expected) in [
        (json!({"from": "Selector"}), selector),
        (
            json!({"from": "All", "selector": {"matchLabels": {"a": "b"}}}),
            selector,
        ),
        (json!({"selector": {"matchLabels": {"a": "b"}}}), selector),
        (
            json!({"from": "Any"}),
            "spec.allowedNamespaces.repositories.from: \"Any\" is not one of Same, All, Selector; write Same or All or Selector",
        ),
    ] {
        assert_eq!(verdict(&rules(&rule)), expected, "{rule}");
    }
    let wrong = json!({"brokerRef": {"name": "main", "namespace": "A B"}});
    assert_eq!(
        verdict(&composer(wrong)),
        "spec.brokerRef.namespace: \"A B\" is not an object name; use lower case letters, digits, - and ., starting and ending with a letter or digit"
    );
}
