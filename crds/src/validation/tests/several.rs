//! Several mistakes in one document, and mistakes that follow from others.

use serde_json::json;

use super::*;

#[test]
fn several_mistakes_are_reported_at_once_and_none_twice() {
    let document = composer(json!({
        "sync": {"interval": "5", "every": "1h"}, "priority": "x", "packages": {"include": ["X/Y"]},
    }));
    let Err(errors) = admit(&document) else {
        panic!("admitted")
    };
    let mut paths: Vec<String> = errors.iter().map(|error| error.path.to_string()).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            "spec.packages.include[0]",
            "spec.priority",
            "spec.sync.every",
            "spec.sync.interval"
        ]
    );
}

/// A rule that reads a field which is missing or wrong says nothing of its own.
#[test]
fn rules_are_silent_about_what_rests_on_a_broken_field() {
    let without = |field: &str, more: Value| {
        let mut document = composer(more);
        let spec = document["spec"].as_object_mut();
        spec.and_then(|spec| spec.shift_remove(field));
        document
    };
    let no_type = "spec.type: is required; add type (What kind of source it is)";
    let no_url = "spec.url: is required; add url (Where the source is)";
    let misspelt = "spec.type: \"gitt\" is not one of composer, git, github, gitlab, bitbucket, artifact; did you mean git?";
    let cases = [
        (without("type", json!({})), vec![no_type]),
        (
            without("type", json!({"git": {}, "sync": {"mode": "lazy"}})),
            vec![no_type],
        ),
        (without("url", json!({})), vec![no_url]),
        (
            without("url", json!({"credentialsSecretRef": {"name": "a"}})),
            vec![no_url],
        ),
        (
            repository("gitt", "https://h/x", json!({"git": {"path": "a"}})),
            vec![misspelt],
        ),
        (
            repository("gitt", "https://h/x", json!({"git": {"path": "../a"}})),
            vec![
                misspelt,
                "spec.git.path: not a folder within the repository; write a relative path without . and .., for instance packages/lib",
            ],
        ),
        (
            composer(json!({"git": {"path": 5}, "colour": "red"})),
            vec![
                "spec.colour: unknown field; remove it; known here: brokerRef, bucket, credentialsSecretRef, deletionPolicy, git, packages, priority, suspend, sync, type, url, versions, webhook",
                "spec.git.path: is a number, not a string; put the value in quotes",
            ],
        ),
        (
            broker(
                json!({"packagist": {"enabled": true, "url": "http://h"}, "egress": {"allowHttp": "no"}}),
            ),
            vec!["spec.egress.allowHttp: is a string, not a boolean; write true or false"],
        ),
        (
            broker(json!({"externalUrl": "h", "egress": {"allowHttp": "no"}})),
            vec![
                "spec.egress.allowHttp: is a string, not a boolean; write true or false",
                "spec.externalUrl: not a public URL; write http(s)://host[:port][/path] without user, query and fragment",
            ],
        ),
    ];
    for (document, mut expected) in cases {
        let said = verdict(&document);
        let mut said: Vec<&str> = said.lines().collect();
        said.sort_unstable();
        expected.sort_unstable();
        assert_eq!(said, expected, "{document}");
    }
}
