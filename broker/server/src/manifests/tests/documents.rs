//! Mistakes that a document shows by itself.

use super::check;

#[test]
fn yaml() {
    check(&[
        ("a: [1, 2\n", 2, "", "not YAML"),
        ("a: b: c\n", 1, "", "not YAML"),
        ("a:\n\t- b\n", 2, "", "not YAML"),
        ("\"open\n", 1, "", "not YAML"),
        (
            "kind: A\nkind: B\n",
            2,
            "",
            "\"kind\" appears twice; keep one of the two",
        ),
        ("spec:\n  a: {x: 1, x: 2}\n", 2, "", "\"x\" appears twice"),
        ("a: *b\n", 1, "", "not YAML"),
        (
            "a: !env PASSWORD\n",
            1,
            "",
            "tags have no meaning here; remove what begins with !",
        ),
        ("a: &a [*a]\n", 1, "", "alias"),
        ("a: 0755\n", 1, "", "leading zero"),
        ("a: .nan\n", 1, "", "finite number"),
        ("[a, b]: c\n", 1, "", "name that is not a text"),
    ]);
}

#[test]
fn kinds() {
    const OURS: &str = "package.broker/v1alpha1";
    check(&[
        (
            "- a\n- b\n",
            1,
            "",
            "is not a map; write apiVersion, kind, metadata and spec",
        ),
        ("just text\n", 1, "", "is not a map"),
        ("apiVersion: v1\n", 1, "kind", "is required; add kind"),
        ("kind: Secret\n", 1, "apiVersion", "add apiVersion: v1"),
        (
            "kind: Repository\n",
            1,
            "apiVersion",
            &format!("add apiVersion: {OURS}"),
        ),
        (
            "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: x}\n",
            1,
            "kind",
            "Deployment \"x\": kind: is not a kind that is read here; keep only kinds of package.broker/v1alpha1 and v1 Secrets here",
        ),
        (
            "apiVersion: v1\nkind: ConfigMap\n",
            2,
            "kind",
            "is not a kind that is read here",
        ),
        (
            "apiVersion: package.example.com/v1\nkind: RepositoryList\nitems: []\n",
            2,
            "kind",
            "is not a kind that is read here; write its items as documents of their own, or apiVersion: v1 and kind: List",
        ),
    ]);
}

#[test]
fn kinds_that_were_meant() {
    check(&[
        (
            "apiVersion: v2\nkind: Secret\n",
            2,
            "kind",
            "write apiVersion: v1 and kind: Secret",
        ),
        (
            "apiVersion: package.brokers/v1\nkind: Repositori\n",
            2,
            "kind",
            "write apiVersion: package.broker/v1alpha1 and kind: Repository",
        ),
        (
            "kind: Repository\napiVersion: package.broker/v1\n",
            2,
            "apiVersion",
            "is not package.broker/v1alpha1",
        ),
        (
            "kind: AccessToken\napiVersion: v1\n",
            2,
            "apiVersion",
            "is not package.broker/v1alpha1",
        ),
        (
            "apiVersion: package.broker/v1alpha1\nkind: AccesToken\n",
            2,
            "kind",
            "did you mean AccessToken?",
        ),
        (
            "apiVersion: package.broker/v1alpha1\nkind: Webhook\n",
            2,
            "kind",
            "write PackageBroker, Repository or AccessToken",
        ),
        (
            "apiVersion: 1\nkind: Repository\n",
            1,
            "apiVersion",
            "is required",
        ),
    ]);
}

/// A `PackageBroker` with these lines in place of `metadata` and `spec`; they begin on line 3.
fn broker(lines: &str) -> String {
    format!("apiVersion: package.broker/v1alpha1\nkind: PackageBroker\n{lines}\n")
}

fn check_brokers(cases: &[(&str, usize, &str, &str)]) {
    for (lines, line, field, fragment) in cases {
        check(&[(&broker(lines), *line, field, fragment)]);
    }
}

#[test]
fn metadata() {
    check_brokers(&[
        ("spec: {}", 1, "metadata", "is required; add metadata"),
        (
            "metadata: {}\nspec: {}",
            3,
            "metadata.name",
            "is required; add name",
        ),
        (
            "metadata:\n  name: Main\nspec: {}",
            4,
            "metadata.name",
            "\"Main\" is not a name; use",
        ),
        (
            "metadata:\n  name: 5\nspec: {}",
            4,
            "metadata.name",
            "is a number, not a string; put the value in quotes",
        ),
        (
            "metadata:\n  name: yes\nspec: {}",
            4,
            "metadata.name",
            "is a boolean, not a string",
        ),
        (
            "metadata:\n  name: a\n  namespace: A\nspec: {}",
            5,
            "metadata.namespace",
            "is not a namespace",
        ),
        (
            "metadata:\n  name: a\n  label: {}\nspec: {}",
            5,
            "metadata.label",
            "did you mean labels?",
        ),
        (
            "metadata:\n  name: a\n  labels:\n    a: 1\nspec: {}",
            6,
            "metadata.labels.a",
            "is a number, not a string",
        ),
        (
            "metadata:\n  name: a\n  labels:\n    a: a b\nspec: {}",
            6,
            "metadata.labels.a",
            "is not the value of a label",
        ),
        (
            "metadata: main\nspec: {}",
            3,
            "metadata",
            "is a string, not a map",
        ),
    ]);
}

#[test]
fn specs() {
    check_brokers(&[
        ("metadata: {name: a}", 1, "spec", "is required; add spec"),
        ("metadata: {name: a}\nspec:", 4, "spec", "is required"),
        (
            "metadata: {name: a}\nspec: {}\nstate: {}",
            5,
            "state",
            "did you mean status?",
        ),
        (
            "metadata: {name: a}\nspecs: {}\nspec: {}",
            4,
            "specs",
            "did you mean spec?",
        ),
        (
            "metadata: {name: a}\nspec:\n  externalURL: https://h",
            5,
            "spec.externalURL",
            "did you mean externalUrl?",
        ),
        (
            "metadata: {name: a}\nspec:\n  externalUrl: h",
            5,
            "spec.externalUrl",
            "not a public URL; write http(s)://",
        ),
        (
            "metadata: {name: a}\nspec:\n  ownedNames:\n  - acme/*\n  - acme",
            7,
            "spec.ownedNames[1]",
            "\"acme\" is not a pattern",
        ),
        (
            "metadata: {name: a}\nspec:\n  ownedNames: acme/*",
            5,
            "spec.ownedNames",
            "is a string, not a list",
        ),
        (
            "metadata: {name: a}\nspec:\n  sync: {maxConcurrent: 100}",
            5,
            "spec.sync.maxConcurrent",
            "is more than 64; write 64 or less",
        ),
        (
            "metadata: {name: a}\nspec:\n  limits:\n    maxArchiveSize: 512",
            6,
            "spec.limits.maxArchiveSize",
            "is a number, not a string; put the value in quotes",
        ),
        (
            "metadata: {name: a}\nspec:\n  limits:\n    maxArchiveSize: 1TB",
            6,
            "spec.limits.maxArchiveSize",
            "\"1TB\" is not an amount of bytes",
        ),
        (
            "metadata: {name: a}\nspec:\n  egress:\n    allowedNetworks: [localhost]",
            6,
            "spec.egress.allowedNetworks[0]",
            "write address/bits",
        ),
        (
            "metadata: {name: a}\nspec:\n  packagist: {enabled: 'true'}",
            5,
            "spec.packagist.enabled",
            "write true or false",
        ),
    ]);
}
