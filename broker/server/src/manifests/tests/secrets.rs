//! Secrets by themselves, and how they may change.

use secrecy::ExposeSecret;

use super::*;

/// A Secret with these lines; they begin on line 4.
fn secret(lines: &str) -> String {
    format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: x}}\n{lines}\n")
}

#[test]
fn what_no_secret_may_be() {
    let cases = [
        (
            "data:\n  token: hunter2!",
            5,
            "data.token",
            "is not base64; encode the value, or move it to stringData",
        ),
        (
            "stringData:\n  token: 5",
            5,
            "stringData.token",
            "is a number, not a string; put the value in quotes",
        ),
        (
            "stringData:\n  'a b': hunter2",
            5,
            "stringData[\"a b\"]",
            "is not a key of a Secret",
        ),
        (
            "stringdata:\n  token: hunter2",
            4,
            "stringdata",
            "did you mean stringData?",
        ),
        ("data: hunter2", 4, "data", "is a string, not a map"),
        ("data: [hunter2]", 4, "data", "is a list, not a map"),
        (
            "immutable: hunter2",
            4,
            "immutable",
            "is a string, not a boolean",
        ),
        ("spec: {}", 4, "spec", "unknown field; remove it"),
    ];
    for (lines, line, field, fragment) in cases {
        check(&[(&secret(lines), line, field, fragment)]);
    }
    check(&[(
        "apiVersion: v1\nkind: Secret\nstringData: {token: hunter2}\n",
        1,
        "metadata",
        "is required",
    )]);
}

/// A cluster refuses Secrets of these types without these keys.
#[test]
fn secrets_of_a_type_have_its_keys() {
    let token = "stringData: {token: hunter2}\n";
    check(&[
        (
            &secret(&format!("{token}type: kubernetes.io/tls")),
            5,
            "type",
            "is kubernetes.io/tls, which needs tls.crt and tls.key; add the missing key, or remove type",
        ),
        (
            &secret("type: kubernetes.io/tls\nstringData: {tls.crt: x}"),
            4,
            "type",
            "needs tls.crt and tls.key",
        ),
        (
            &secret(&format!("{token}type: kubernetes.io/basic-auth")),
            5,
            "type",
            "needs username or password",
        ),
        (
            &secret("type: kubernetes.io/ssh-auth"),
            4,
            "type",
            "needs ssh-privatekey",
        ),
    ]);
    for complete in [
        "type: kubernetes.io/tls\nstringData: {tls.crt: x}\ndata: {tls.key: ''}",
        "type: kubernetes.io/basic-auth\nstringData: {password: x}",
        "type: kubernetes.io/ssh-auth\nstringData: {ssh-privatekey: x}",
        "type: example.com/own\nstringData: {}",
        "type: Opaque",
        "type:",
    ] {
        assert!(
            Folder::with(&[("m.yaml", &secret(complete))])
                .load()
                .is_ok(),
            "{complete}"
        );
    }
}

/// As in a cluster, in whatever order they stand.
#[test]
fn string_data_wins_over_data() {
    let data = "data: {token: b2xk, other: b3RoZXI=}\n";
    let plain = "stringData: {token: new}\n";
    for lines in [format!("{data}{plain}"), format!("{plain}{data}")] {
        let manifests = Folder::with(&[("m.yaml", &secret(&lines))]).load().unwrap();
        let secret = manifests.secrets.values().next().unwrap();
        let text = |key: &str| secret.data[key].expose_secret().to_vec();
        assert_eq!(
            (text("token"), text("other")),
            (b"new".to_vec(), b"other".to_vec())
        );
    }
}

/// What is said when a Secret with the first lines is replaced by one with the second.
fn change(before: &str, after: &str) -> Vec<String> {
    let manifests = |lines: &str| Folder::with(&[("m.yaml", &secret(lines))]).load().unwrap();
    match manifests(after).check_change_from(&manifests(before)) {
        Ok(()) => Vec::new(),
        Err(ManifestErrors(problems)) => problems
            .iter()
            .map(|problem| format!("{}: {}: {}", problem.line, problem.field, problem.message))
            .collect(),
    }
}

#[test]
fn immutable_secrets_do_not_change() {
    let fixed = "immutable: true\nstringData: {token: hunter2, other: x}";
    let same = "data: {token: aHVudGVyMg==, other: eA==}\nimmutable: true";
    assert_eq!(change(fixed, same), [] as [String; 0]);
    assert_eq!(
        change(
            fixed,
            "immutable: true\nstringData: {token: hunter3, more: x}"
        ),
        ["4: immutable: was true, so the data cannot change, but more, other, token did"]
    );
    assert_eq!(
        change(fixed, "stringData: {token: hunter2, other: x}"),
        ["1: immutable: was true, which cannot be taken back"]
    );
    assert_eq!(
        change(
            "stringData: {token: a}",
            "stringData: {token: b}\nimmutable: true"
        ),
        [] as [String; 0]
    );
    assert_eq!(
        change("type: Opaque", "type: example.com/own"),
        ["4: type: cannot change"]
    );
    assert_eq!(change("type: Opaque", "stringData: {}"), [] as [String; 0]);
}
