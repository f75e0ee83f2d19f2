//! The forms that files come in: line ends, byte order marks, anchors, JSON.

use package_broker_crds::{PackagePattern, RepositoryType};

use super::*;

const REPOSITORY: &str = "apiVersion: package.broker/v1alpha1
kind: Repository
metadata: {name: acme}
spec:
  brokerRef: {name: main}
  type: git
  url: https://h/x
";

#[test]
fn line_ends_of_windows_and_byte_order_marks() {
    let text = format!("{BROKER}---\n{REPOSITORY}");
    for text in [
        text.replace('\n', "\r\n"),
        format!("\u{feff}{text}"),
        format!("\u{feff}{}", text.replace('\n', "\r\n")),
    ] {
        let desired = Folder::with(&[("m.yaml", &text)]).resolve().unwrap();
        assert_eq!(desired.repositories[0].0.spec.url, "https://h/x");
    }
    // Lines are counted as editors count them, and values have no carriage return at their end.
    let wrong = format!("\u{feff}{text}  colour: red\n").replace('\n', "\r\n");
    check(&[(&wrong, 13, "spec.colour", "unknown field")]);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  a: x\n  b: |\n    y\n    z\n";
    let manifests = Folder::with(&[("m.yaml", &secret.replace('\n', "\r\n"))])
        .load()
        .unwrap();
    let data = &manifests.secrets.values().next().unwrap().data;
    assert_eq!(data["a"].expose_secret(), b"x");
    assert_eq!(data["b"].expose_secret(), b"y\nz\n");
}

#[test]
fn anchors_and_merge_keys_count_as_written_out() {
    let text = format!(
        "{BROKER}---\n{REPOSITORY}  packages: &packages\n    include: &names [acme/*]\n    exclude: [acme/x]\n  sync: {{interval: 5m}}\n"
    )
    .replace("exclude: [acme/x]", "exclude: *names");
    let desired = Folder::with(&[("m.yaml", &text)]).resolve().unwrap();
    let packages = &desired.repositories[0].0.spec.packages;
    assert_eq!(packages.exclude, [PackagePattern::from("acme/*")]);
    assert_eq!(packages.include, packages.exclude);

    let merged = format!(
        "{BROKER}---\napiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata: {{name: a}}\nspec:\n  <<: {{type: composer, url: 'https://a', \
         brokerRef: {{name: main}}}}\n  url: https://b\n"
    );
    let desired = Folder::with(&[("m.yaml", &merged)]).resolve().unwrap();
    let spec = &desired.repositories[0].0.spec;
    assert_eq!(
        (spec.type_, spec.url.as_str()),
        (RepositoryType::Composer, "https://b")
    );
}

#[test]
fn anchors_merge_keys_and_doubled_fields_that_are_wrong() {
    let with = |lines: &str| format!("{BROKER}---\n{REPOSITORY}{lines}");
    check(&[
        // An anchor ends with its document.
        (
            &with("  packages: &p {}\n---\nkind: Secret\nstringData: *p\n"),
            16,
            "",
            "an alias of something that is in another document",
        ),
        // What comes through a merge key is held against the schema.
        (
            &with("  sync:\n    <<: {interval: 5, timeout: 1m}\n"),
            14,
            "spec.sync.interval",
            "is a number, not a string",
        ),
        (
            &with("  sync:\n    <<: {every: 1m}\n"),
            14,
            "spec.sync.every",
            "unknown field",
        ),
        (
            &with("  <<: [a]\n"),
            13,
            "",
            "<< takes over the fields of a map",
        ),
        (
            &with("  url: https://h/y\n"),
            13,
            "",
            "\"url\" appears twice",
        ),
        (
            &with("  sync: {mode: lazy, 'mode': eager}\n"),
            13,
            "",
            "\"mode\" appears twice",
        ),
        (
            "{\"kind\": \"Secret\",\n \"kind\": \"Secret\"}\n",
            2,
            "",
            "\"kind\" appears twice",
        ),
    ]);
}

#[test]
fn json_as_php_and_python_write_it() {
    let token = "{\"apiVersion\":\"package.broker\\/v1alpha1\",\"kind\":\"AccessToken\",\"metadata\":{\"name\":\"ci\",\
                 \"annotations\":{\"note\":\"\\ud83d\\ude80\"}},\n\"spec\":{\"brokerRef\":{\"name\":\"main\"}}}";
    let folder = Folder::with(&[("a.yaml", BROKER), ("b.json", token)]);
    let desired = folder.resolve().unwrap();
    let note = desired.tokens[0].0.metadata.annotations.as_ref().unwrap();
    assert_eq!(note["note"], "\u{1f680}");
    folder.write(
        "b.json",
        &token.replace("\"brokerRef\"", "\n \"brokerref\""),
    );
    let errors = folder.load().err().unwrap();
    let problem = errors
        .0
        .iter()
        .find(|problem| problem.field == "spec.brokerref")
        .unwrap();
    assert_eq!((problem.line, problem.column), (3, 2));
}

/// What `kubectl get -o yaml` writes.
#[test]
fn items_of_lists_are_documents() {
    let list = |items: &str| {
        format!("apiVersion: v1\nkind: List\nmetadata: {{resourceVersion: ''}}\nitems:\n{items}")
    };
    let broker = "- apiVersion: package.broker/v1alpha1\n  kind: PackageBroker\n  metadata: {name: a, uid: x}\n  spec: {}\n";
    let secret = "- apiVersion: v1\n  kind: Secret\n  metadata: {name: s}\n";
    let nested = "- apiVersion: v1\n  kind: List\n  items:\n  - apiVersion: v1\n    kind: Secret\n    metadata: {name: t}\n";
    assert_eq!(problems(&list(&format!("{broker}{secret}{nested}"))), []);
    check(&[
        (
            &list(&broker.replace("spec: {}", "spec: {externalURL: x}")),
            8,
            "spec.externalURL",
            "PackageBroker \"a\": spec.externalURL: unknown field; did you mean externalUrl?",
        ),
        (
            &list(&format!("{broker}{broker}")),
            11,
            "metadata.name",
            "is declared twice, first at",
        ),
        (
            &list(&format!("{broker}- apiVersion: v1\n  kind: Pod\n")),
            10,
            "kind",
            "is not a kind that is read here",
        ),
        (&list("- text\n"), 5, "items[0]", "is a string, not a map"),
        (
            "apiVersion: v1\nkind: List\nitem: []\nitems: []\n",
            3,
            "item",
            "did you mean items?",
        ),
        (
            "apiVersion: v1\nkind: List\n",
            1,
            "items",
            "is required; add items (The documents)",
        ),
    ]);
}
