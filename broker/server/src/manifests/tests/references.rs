//! Mistakes that documents make about each other.

use super::{BROKER, TOKEN, check, problems};

/// A `PackageBroker` on lines 1 to 4, and a Repository whose spec begins on line 9.
pub(super) fn repository(spec: &str) -> String {
    format!(
        "{BROKER}---\napiVersion: package.broker/v1alpha1\nkind: Repository\nmetadata: {{name: acme}}\nspec:\n{spec}"
    )
}

/// The same with a Secret `creds` that holds these lines of `stringData`.
pub(super) fn with_secret(spec: &str, data: &str) -> String {
    format!(
        "{}\n  credentialsSecretRef:\n    name: creds\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: creds}}\nstringData:\n{data}\n",
        repository(spec)
    )
}

pub(super) const COMPOSER: &str =
    "  brokerRef: {name: main}\n  type: composer\n  url: https://repo.example.com";
pub(super) const GIT: &str =
    "  brokerRef: {name: main}\n  type: git\n  url: https://git.example.com/acme/lib.git";
pub(super) const BUCKET: &str = "  brokerRef: {name: main}\n  type: artifact\n  url: s3://acme/php";
pub(super) const SSH: &str =
    "  brokerRef: {name: main}\n  type: git\n  url: git@git.example.com:acme/lib.git";

/// A token after a broker, a Repository `acme` and a Secret `ci`; its spec begins on line 22.
fn token(spec: &str) -> String {
    format!(
        "{}\n---\napiVersion: v1\nkind: Secret\nmetadata: {{name: ci}}\nstringData: {{token: {TOKEN}, short: hunter2, blank: '{TOKEN} x'}}\n---\n\
         apiVersion: package.broker/v1alpha1\nkind: AccessToken\nmetadata: {{name: ci}}\nspec:\n{spec}\n",
        repository(COMPOSER)
    )
}

#[test]
fn exactly_one_broker() {
    let second = format!("{BROKER}---\n{}", BROKER.replace("main", "other"));
    check(&[(
        &second,
        8,
        "metadata.name",
        "PackageBroker \"other\": metadata.name: is a second PackageBroker, after the one at",
    )]);
    let twice = format!("{BROKER}---\n{BROKER}");
    check(&[(&twice, 8, "metadata.name", "is declared twice")]);
    for none in [
        "# nothing\n",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\n",
    ] {
        let said = problems(none)
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>();
        assert_eq!(
            said,
            ["there is no PackageBroker among the manifests; add one; an empty spec ({}) will do"]
        );
    }
}

#[test]
fn references() {
    check(&[
        (
            &repository("  brokerRef:\n    name: mian\n  type: git\n  url: https://h/x\n"),
            11,
            "spec.brokerRef.name",
            "there is no PackageBroker \"mian\" in namespace default; did you mean main?",
        ),
        (
            &repository("  brokerRef:\n    name: production\n  type: git\n  url: https://h/x\n"),
            11,
            "spec.brokerRef.name",
            "add it, or name one of: main",
        ),
        (
            &repository(COMPOSER).replace("{name: acme}", "{name: acme, namespace: team}"),
            10,
            "spec.brokerRef.name",
            "there is no PackageBroker \"main\" in namespace team; add a PackageBroker of that name",
        ),
        (
            &format!(
                "{}\n  credentialsSecretRef:\n    name: creds\n",
                repository(COMPOSER)
            ),
            14,
            "spec.credentialsSecretRef.name",
            "there is no Secret \"creds\" in namespace default; add a Secret of that name to the manifests",
        ),
        (
            &with_secret(COMPOSER, "  token: hunter2")
                .replace("name: creds\n---", "name: cred\n---"),
            14,
            "spec.credentialsSecretRef.name",
            "did you mean creds?",
        ),
    ]);
}

#[test]
fn references_of_tokens() {
    check(&[
        (
            &token("  brokerRef: {name: other}"),
            23,
            "spec.brokerRef.name",
            "there is no PackageBroker \"other\"",
        ),
        (
            &token(
                "  brokerRef: {name: main}\n  scopes:\n    repositories:\n    - acme\n    - acmee",
            ),
            27,
            "spec.scopes.repositories[1]",
            "there is no Repository \"acmee\" in namespace default; did you mean acme?",
        ),
        (
            &token("  brokerRef: {name: main}\n  existingSecretRef:\n    name: nothing"),
            25,
            "spec.existingSecretRef.name",
            "there is no Secret \"nothing\"",
        ),
        (
            &token("  brokerRef: {name: main}\n  existingSecretRef:\n    name: ci\n    key: tokn"),
            26,
            "spec.existingSecretRef.key",
            "Secret \"ci\" has no key \"tokn\"; add it, or name one of: blank, short, token",
        ),
        (
            &token("  brokerRef: {name: main}\n  existingSecretRef:\n    name: ci\n    key: short"),
            26,
            "spec.existingSecretRef.key",
            "the token has 7 characters",
        ),
        (
            &token("  brokerRef: {name: main}\n  existingSecretRef:\n    name: ci\n    key: blank"),
            26,
            "spec.existingSecretRef.key",
            "a blank or a character outside of printable ASCII",
        ),
    ]);
}

#[test]
fn a_token_belongs_to_one_access_token() {
    let first = token("  brokerRef: {name: main}\n  existingSecretRef:\n    name: ci");
    let second = first
        .rsplit("---\n")
        .next()
        .unwrap()
        .replace("{name: ci}", "{name: two}");
    let said = problems(&format!("{first}---\n{second}"));
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].object, "AccessToken/two");
    assert!(
        said[0]
            .message
            .contains("is the same token as that of the AccessToken at"),
        "{said:?}"
    );
    assert!(!said[0].to_string().contains(TOKEN));
}

#[test]
fn schedules() {
    let scheduled = |schedule: &str| {
        let spec = "  brokerRef: {name: main}\n  type: composer\n  url: https://h/x\n";
        repository(&format!("{spec}  sync: {{schedule: '{schedule}'}}\n"))
    };
    check(&[
        (
            &scheduled("0 0 31 2 *"),
            13,
            "spec.sync.schedule",
            "\"0 0 31 2 *\" never comes: there is no such day in these months; name a day that one of the months has",
        ),
        (
            &scheduled("0 20-5 * * *"),
            13,
            "spec.sync.schedule",
            "\"0 20-5 * * *\" has \"20-5\" as its hour",
        ),
    ]);
}

#[test]
fn egress() {
    let strict = "spec: {}\n";
    let under = |url: &str, kind: &str| {
        let spec = format!("  brokerRef: {{name: main}}\n  type: {kind}\n  url: {url}\n");
        repository(&spec).replace(
            "spec: {egress: {allowHttp: true, allowFileUrls: true}}\n",
            strict,
        )
    };
    check(&[
        (
            &under("http://h/x", "composer"),
            12,
            "spec.url",
            "is plain http, which is refused; use https, or set spec.egress.allowHttp",
        ),
        (&under("http://h/x", "git"), 12, "spec.url", "is plain http"),
        (
            &under("file:///x", "git"),
            12,
            "spec.url",
            "is local, which is refused; set spec.egress.allowFileUrls",
        ),
        (
            &under("./artifacts", "artifact"),
            12,
            "spec.url",
            "is local",
        ),
        (
            &format!(
                "{}  bucket: {{endpoint: 'http://h'}}\n",
                under("s3://acme", "artifact")
            ),
            13,
            "spec.bucket.endpoint",
            "is plain http, which is refused",
        ),
    ]);
    assert_eq!(problems(&under("s3://acme", "artifact")), []);
    for allowed in ["http://h/x", "file:///x"] {
        let spec = format!("  brokerRef: {{name: main}}\n  type: git\n  url: {allowed}\n");
        assert_eq!(problems(&repository(&spec)), []);
    }
}

/// Whoever writes manifests for others need not know their tokens.
#[test]
fn a_token_may_be_known_by_its_hash() {
    let with = |hash: &str| {
        format!(
            "{BROKER}---\napiVersion: package.broker/v1alpha1\nkind: AccessToken\nmetadata:\n  name: ci\n  annotations:\n    package.broker/token-sha256: '{hash}'\nspec: {{brokerRef: {{name: main}}}}\n"
        )
    };
    let hash = "ab".repeat(32);
    let desired = super::Folder::with(&[("m.yaml", &with(&hash))])
        .resolve()
        .unwrap();
    assert_eq!(desired.tokens[0].1.unwrap().0, [0xab; 32]);
    check(&[(
        &with("abc"),
        11,
        "metadata.annotations[\"package.broker/token-sha256\"]",
        "is not the SHA-256 of a token; write 64 hexadecimal digits",
    )]);
}
