//! Manifests as users write them, right and wrong.

mod credentials;
mod docs;
mod documents;
mod files;
mod forms;
mod namespaces;
mod references;
mod secrets;

use std::{fs, path::PathBuf};

use secrecy::ExposeSecret;

use super::*;

/// An installation that may fetch anything, for documents that need one.
const BROKER: &str = "apiVersion: package.broker/v1alpha1
kind: PackageBroker
metadata: {name: main}
spec: {egress: {allowHttp: true, allowFileUrls: true}}
";

/// A token of the form a user may bring.
const TOKEN: &str = "0123456789abcdef0123456789abcdef";

struct Folder(tempfile::TempDir);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            folder.write(name, text);
        }
        folder
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    fn load(&self) -> Result<Manifests, ManifestErrors> {
        load(&[self.path()])
    }

    fn resolve(&self) -> Result<Desired, ManifestErrors> {
        resolve(&self.load()?)
    }
}

/// The problems with one file.
fn problems(text: &str) -> Vec<Problem> {
    match Folder::with(&[("m.yaml", text)]).resolve() {
        Ok(_) => Vec::new(),
        Err(ManifestErrors(problems)) => problems,
    }
}

/// Text, line, field, and a part of what is said about it.
type Case<'a> = (&'a str, usize, &'a str, &'a str);

/// Each text has exactly one problem, and it is the one expected.
fn check(cases: &[Case<'_>]) {
    for (text, line, field, fragment) in cases {
        let problems = problems(text);
        let [problem] = problems.as_slice() else {
            panic!("{} problems in:\n{text}\n{problems:#?}", problems.len());
        };
        assert_eq!(
            (problem.line, problem.field.as_str()),
            (*line, *field),
            "{text}\n{problem}"
        );
        let said = problem.to_string();
        assert!(
            said.contains(fragment),
            "{text}\nsays: {said}\nnot:  {fragment}"
        );
        assert!(
            !problem.fix.is_empty() && said.contains("m.yaml:"),
            "{said}"
        );
        assert!(!said.contains("hunter2"), "a secret in: {said}");
    }
}

#[test]
fn reads_files_and_folders_with_several_documents() {
    let folder = Folder::with(&[
        ("a.yaml", BROKER),
        (
            "b.yml",
            "# Sources\n---\napiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata:\n  name: lib\n\
             spec:\n  brokerRef: {name: main}\n  type: git\n  url: ssh://git@git.example.com/acme/lib.git\n  \
             credentialsSecretRef: {name: deploy-key}\n---\napiVersion: v1\nkind: Secret\ntype: Opaque\n\
             metadata: {name: deploy-key}\nstringData:\n  ssh-privatekey: |\n    -----BEGIN OPENSSH PRIVATE KEY-----\n    \
             AAAA\n    -----END OPENSSH PRIVATE KEY-----\n  known_hosts: git.example.com ssh-ed25519 AAAA\n",
        ),
        (
            "c.json",
            r#"{"apiVersion": "package.broker/v1alpha1", "kind": "AccessToken", "metadata": {"name": "ci"},
               "spec": {"brokerRef": {"name": "main"}, "scopes": {"repositories": ["lib"]}, "existingSecretRef": {"name": "ci"}}}"#,
        ),
        // The token in base64, with the line break that `echo` leaves.
        (
            "d.yaml",
            "apiVersion: v1\nkind: Secret\nmetadata: {name: ci}\ndata:\n  token: MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWYK\n",
        ),
        (".e.yaml", "not a manifest"),
        ("notes.txt", "not a manifest"),
        ("sub/f.yaml", "not a manifest"),
    ]);
    let desired = folder.resolve().unwrap();
    assert_eq!(desired.broker.metadata.name.as_deref(), Some("main"));
    let [(repository, secrets)] = desired.repositories.as_slice() else {
        panic!("one repository")
    };
    let secret = secrets.credentials.as_ref().unwrap();
    assert_eq!(repository.spec.sync.timeout.as_str(), "10m");
    assert!(
        secret["known_hosts"]
            .expose_secret()
            .starts_with(b"git.example.com")
    );
    let [(_, Some(token))] = desired.tokens.as_slice() else {
        panic!("one token")
    };
    assert_eq!(
        *token,
        package_broker_core::domain::token::TokenHash::of(TOKEN)
    );
    let shown = format!("{desired:?}");
    assert!(
        !shown.contains(TOKEN) && !shown.contains("OPENSSH"),
        "{shown}"
    );
}

#[test]
fn all_problems_of_all_files_are_reported_in_order() {
    let repository = |name: &str, interval: &str| {
        format!(
            "apiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata: {{name: {name}}}\nspec:\n  \
             brokerRef: {{name: main}}\n  type: composer\n  url: https://h\n  sync:\n    interval: \"{interval}\"\n  colour: red\n"
        )
    };
    let folder = Folder::with(&[
        ("a.yaml", BROKER),
        (
            "b.yaml",
            &format!("{}---\n{}", repository("x", "5"), repository("z", "6")),
        ),
        ("c.yaml", "a: [\n"),
        ("d.yaml", &repository("x", "7")),
    ]);
    let said = folder
        .load()
        .err()
        .unwrap()
        .to_string()
        .replace(&format!("{}/", folder.path().display()), "");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 6, "{said}");
    assert_eq!(
        lines[0],
        "b.yaml:9: Repository \"x\": spec.sync.interval: \"5\" is not a duration; \
         write a number and a unit (ms, s, m, h), for instance 5m"
    );
    assert!(
        lines[1].starts_with("b.yaml:10: Repository \"x\": spec.colour: unknown field"),
        "{said}"
    );
    assert!(
        lines[2].starts_with("b.yaml:20: Repository \"z\": spec.sync.interval"),
        "{said}"
    );
    assert!(lines[4].starts_with("c.yaml:"), "{said}");
    assert_eq!(
        lines[5],
        "d.yaml:3: Repository \"x\": metadata.name: is declared twice, first at b.yaml:1; \
         remove one of the two, or give it another name"
    );
}

#[test]
fn what_cannot_change_is_compared_with_the_manifests_before() {
    let repository = |kind: &str, priority: i32| {
        format!(
            "{BROKER}---\napiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata: {{name: x}}\n\
             spec: {{brokerRef: {{name: main}}, type: {kind}, url: 'https://h/x', priority: {priority}}}\n"
        )
    };
    let manifests = |text: &str| Folder::with(&[("m.yaml", text)]).load().unwrap();
    let before = manifests(&repository("composer", 0));
    assert!(
        manifests(&repository("composer", 5))
            .check_change_from(&before)
            .is_ok()
    );
    assert!(
        manifests(BROKER).check_change_from(&before).is_ok(),
        "objects may go"
    );
    assert!(
        before.check_change_from(&manifests(BROKER)).is_ok(),
        "objects may come"
    );
    let errors = manifests(&repository("git", 0))
        .check_change_from(&before)
        .unwrap_err();
    let [problem] = errors.0.as_slice() else {
        panic!("{errors}")
    };
    assert_eq!(
        (
            problem.line,
            problem.field.as_str(),
            problem.object.as_str()
        ),
        (9, "spec.type", "Repository/x")
    );
    assert!(problem.message.contains("cannot change"));
}
