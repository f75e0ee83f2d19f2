//! Manifests with a mistake: nothing of them is put in force, and they are told where it is.

use std::ffi::OsStr;
use std::path::Path;

use package_broker_e2e::broker::{Broker, package_broker};
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::{LIB, LOG, ROOT, World};
use crate::support::eventually;
use crate::support::hammer::{Client, while_asked};
use crate::support::registry::{Registry, manifests, with_token};

/// What is wrong, the text that stands where the mistake is made, the mistake, and what has to be said: the field, the
/// mistake and the fix.
type Mistake = (&'static str, &'static str, &'static str, [&'static str; 3]);

const MISTAKES: [Mistake; 5] = [
    (
        "not YAML",
        "\"include\": [",
        "\"include\": ] [",
        ["", "not YAML", "check indentation, quotes and brackets"],
    ),
    (
        "an unknown field",
        "\"include\": [",
        "\"includes\": [",
        [
            "spec.packages.includes",
            "unknown field",
            "did you mean include?",
        ],
    ),
    (
        "a dangling reference",
        "\"existingSecretRef\": {\n      \"name\": \"narrow\"",
        "\"existingSecretRef\": {\n      \"name\": \"narow\"",
        [
            "spec.existingSecretRef.name",
            "there is no Secret \"narow\"",
            "did you mean narrow?",
        ],
    ),
    (
        "against a rule",
        "\"externalUrl\": \"https://",
        "\"externalUrl\": \"",
        [
            "spec.externalUrl",
            "not a public URL",
            "write http(s)://host[:port][/path]",
        ],
    ),
    (
        "a field that cannot change",
        "\"type\": \"artifact\"",
        "\"type\": \"git\"",
        ["spec.type", "cannot change", "delete"],
    ),
];

/// The text with the mistake, and the line in which that ends.
fn with_mistake(text: &str, (what, good, bad, _): Mistake) -> (String, usize) {
    let (before, after) = text
        .split_once(good)
        .unwrap_or_else(|| panic!("{what}: no {good} in {text}"));
    let line = before.lines().count() + bad.lines().count() - 1;
    (format!("{before}{bad}{after}"), line)
}

/// Adds a token of the scope `acme/lib`, and a folder of artifacts.
fn with_more(all: Manifests, folder: &Path) -> Manifests {
    let url = format!("file://{}", folder.display());
    let narrow = json!({"scopes": {"packages": ["acme/lib"]}});
    with_token(all, "narrow", &narrow).repository("folder", "artifact", &url, &json!({}))
}

#[test]
fn a_mistake_leaves_the_last_good_state_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = World::start(|all| with_more(all, folder.path()));
    let mut clients = world.readers();
    clients.push(Client::new("narrow", &[ROOT, LIB, LOG]));
    let seen = while_asked(&mut world.registry, &clients, |registry| {
        // Each mistake comes with a change that would be right by itself.
        let scope = json!({"scopes": {"packages": ["acme/log"]}});
        let next = registry
            .manifests()
            .clone()
            .patched("AccessToken", "narrow", &scope);
        for mistake in MISTAKES {
            let (text, line) = with_mistake(&next.text().unwrap(), mistake);
            registry.write(&text);
            assert_told(registry, line, mistake);
        }
        registry.edit(&next);
    });
    seen.assert_told("narrow", ROOT, &["200 acme/lib", "200 acme/log"]);
    seen.assert_told("narrow", LIB, &["200 1.0.0", "200"]);
    seen.assert_told("narrow", LOG, &["200", "200 1.0.0"]);
    seen.assert_nothing_moved_for("all");
}

fn assert_told(registry: &Registry, line: usize, (what, _, _, [field, mistake, fix]): Mistake) {
    let place = format!("{}:{line}: ", registry.file().display());
    let said = "the changed manifests are wrong; the last good ones stay in force";
    eventually(what, || {
        let words = [said, &place, field, mistake, fix];
        (registry.said(&words) > 0).then_some(())
    });
}

#[test]
fn run_does_not_start_with_a_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let (file, data) = (folder.path().join("team.yaml"), folder.path().join("data"));
    let include = json!({"packages": {"include": ["acme/*"]}});
    let good = with_more(manifests(&json!({})), folder.path())
        .repository("team", "composer", "http://127.0.0.1:9", &include)
        .text()
        .unwrap();
    for mistake in MISTAKES.into_iter().take(4) {
        let (text, line) = with_mistake(&good, mistake);
        std::fs::write(&file, text).unwrap();
        let arguments: [&OsStr; 9] = [
            "run".as_ref(),
            "-f".as_ref(),
            file.as_ref(),
            "--data".as_ref(),
            data.as_ref(),
            "--listen".as_ref(),
            "127.0.0.1:0".as_ref(),
            "--metrics-listen".as_ref(),
            "127.0.0.1:0".as_ref(),
        ];
        let ended = package_broker(&arguments).unwrap();
        assert_eq!(ended.code(), 1, "{ended}");
        let place = format!("{}:{line}: ", file.display());
        for word in [&place].map(String::as_str).iter().chain(&mistake.3) {
            assert!(ended.stderr.contains(word), "no {word} in {ended}");
        }
        assert!(!data.exists(), "{}: {ended}", mistake.0);
    }
    // Mended, it starts.
    std::fs::write(&file, good).unwrap();
    Broker::start(&file, &data).unwrap();
}
