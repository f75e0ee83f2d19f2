//! Secrets that sources cannot use.

use super::{
    check, problems,
    references::{BUCKET, COMPOSER, GIT, SSH, repository, with_secret},
};

const PLAIN: &str = "  brokerRef: {name: main}\n  type: composer\n  url: http://repo.example.com";

/// Whole blocks, of which nobody looks at the contents here.
const CERTIFICATE: &str = r#""-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----""#;
const KEY: &str = r#""-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----""#;

#[test]
fn usable_credentials() {
    let tls = format!("  tls.crt: {CERTIFICATE}\n  tls.key: {KEY}\n  ca.crt: {CERTIFICATE}");
    let ssh = format!(
        "  ssh-privatekey: {KEY}\n  known_hosts: |\n    # git\n    git.example.com ssh-ed25519 AAAA"
    );
    let usable = [
        (COMPOSER, "  username: me\n  password: hunter2"),
        (COMPOSER, "  token: hunter2"),
        (COMPOSER, "  token: |\n    hunter2"),
        (
            COMPOSER,
            "  header: |\n    PRIVATE-TOKEN: hunter2\n    X-Team: acme",
        ),
        (COMPOSER, "  token: hunter2\n  argocd-project: x"),
        (COMPOSER, tls.as_str()),
        (PLAIN, "  token: hunter2"),
        (GIT, "  username: me\n  password: hunter2"),
        (SSH, ssh.as_str()),
        (
            BUCKET,
            "  accessKeyId: me\n  secretAccessKey: hunter2/+=\n  sessionToken: hunter2",
        ),
        (BUCKET, tls.as_str()),
    ];
    for (spec, data) in usable {
        assert_eq!(problems(&with_secret(spec, data)), [], "{data}");
    }
}

/// Each Secret is refused for a source of that kind, at the reference to it.
fn check_unusable(spec: &str, cases: &[(&str, &str)]) {
    for (data, fragment) in cases {
        let data = data.replace("<cert>", CERTIFICATE).replace("<key>", KEY);
        let problems = problems(&with_secret(spec, &data));
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(
            said.iter().any(|said| said.contains(fragment)),
            "{data}\n{said:?}"
        );
        let field = "spec.credentialsSecretRef.name";
        assert!(
            problems.iter().all(|p| p.line == 14 && p.field == field),
            "{said:?}"
        );
        assert!(
            !said.iter().any(|said| said.contains("hunter2")),
            "{said:?}"
        );
    }
}

#[test]
fn incomplete_credentials() {
    check_unusable(
        COMPOSER,
        &[
            (
                "  argocd-project: hunter2",
                "Secret \"creds\" has no credentials for a composer source over https; give it some of the keys username, password, token, header, tls.crt, tls.key, ca.crt",
            ),
            (
                "  username: hunter2",
                "has username but no password; add the key password",
            ),
            ("  password: hunter2", "has password but no username"),
            (
                "  username: me\n  password: hunter2\n  token: hunter2",
                "has username and token; keep one of them",
            ),
            (
                "  token: hunter2\n  header: 'A: hunter2'",
                "has token and header; keep one of them",
            ),
            (
                "  tokn: hunter2",
                "has an unknown key tokn; did you mean token?",
            ),
            ("  tls.crt: <cert>", "has tls.crt but no tls.key"),
            (
                "  token: hunter2\n  ssh-privatekey: <key>\n  known_hosts: a b c",
                "has ssh-privatekey, which this URL cannot use; remove that key",
            ),
        ],
    );
}

#[test]
fn credentials_that_the_url_cannot_use() {
    check_unusable(
        PLAIN,
        &[
            (
                "  token: hunter2\n  ca.crt: <cert>",
                "Secret \"creds\" has ca.crt, which this URL cannot use; use https, or remove that key",
            ),
            (
                "  tls.crt: <cert>\n  tls.key: <key>",
                "has tls.key, which this URL cannot use; use https",
            ),
            (
                "  ca.crt: <cert>",
                "has no credentials for a composer source over http; give it some of the keys username, password, token, header",
            ),
        ],
    );
    check_unusable(
        SSH,
        &[
            (
                "  token: hunter2",
                "has no credentials for a git source over ssh; give it some of the keys ssh-privatekey, known_hosts",
            ),
            (
                "  ssh-privatekey: <key>\n  known_hosts: a b c\n  ca.crt: <cert>",
                "has ca.crt, which this URL cannot use; remove that key",
            ),
            (
                "  ssh-privatekey: <key>",
                "has ssh-privatekey but no known_hosts",
            ),
        ],
    );
}

#[test]
fn credentials_that_no_bucket_can_use() {
    check_unusable(
        BUCKET,
        &[
            (
                "  AWS_ACCESS_KEY: hunter2",
                "Secret \"creds\" has no credentials for a bucket; give it some of the keys accessKeyId, secretAccessKey, sessionToken",
            ),
            (
                "  accessKeyID: hunter2\n  secretAccessKey: hunter2",
                "has an unknown key accessKeyID; did you mean accessKeyId?",
            ),
            (
                "  accessKeyId: hunter2",
                "has accessKeyId but no secretAccessKey; add the key secretAccessKey",
            ),
            (
                "  sessionToken: hunter2",
                "has sessionToken but no accessKeyId; add the keys accessKeyId and secretAccessKey",
            ),
            (
                "  username: hunter2\n  password: hunter2",
                "has username, which this URL cannot use; remove that key",
            ),
        ],
    );
    check_unusable(
        COMPOSER,
        &[(
            "  token: hunter2\n  accessKeyId: x\n  secretAccessKey: hunter2",
            "has accessKeyId, which this URL cannot use",
        )],
    );
}

/// Each Secret has one bad value, on its first or a given line, and that is where it is told.
fn check_malformed(spec: &str, cases: &[(&str, usize, &str, &str)]) {
    for (data, line, field, said) in cases {
        let data = data.replace("<cert>", CERTIFICATE).replace("<key>", KEY);
        let problems = problems(&with_secret(spec, &data));
        let [problem] = problems.as_slice() else {
            panic!("{data}\n{problems:?}");
        };
        assert_eq!(
            (
                problem.line,
                problem.object.as_str(),
                problem.field.as_str()
            ),
            (19 + line, "Secret/creds", *field),
            "{problem}"
        );
        let message = problem.to_string();
        assert!(message.contains(said), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
}

#[test]
fn malformed_credentials() {
    check_malformed(
        COMPOSER,
        &[
            ("  token: ''", 1, "stringData.token", "is empty or not text"),
            (
                "  token: |\n    hunter2\n    more",
                1,
                "stringData.token",
                "spans several lines",
            ),
            (
                "  username: 'a:hunter2'\n  password: hunter2",
                1,
                "stringData.username",
                "contains a colon",
            ),
            (
                "  header: hunter2",
                1,
                "stringData.header",
                "is not of lines Name: value",
            ),
            (
                "  header: 'Host: hunter2'",
                1,
                "stringData.header",
                "is not of lines Name: value",
            ),
        ],
    );
    check_malformed(
        SSH,
        &[
            (
                "  ssh-privatekey: hunter2\n  known_hosts: a b c",
                1,
                "stringData.ssh-privatekey",
                "is not a private key in PEM",
            ),
            (
                "  ssh-privatekey: <key>\n  known_hosts: hunter2",
                2,
                "stringData.known_hosts",
                "names no host",
            ),
        ],
    );
}

#[test]
fn malformed_keys_of_a_bucket() {
    check_malformed(
        BUCKET,
        &[(
            "  accessKeyId: hunter2\n  secretAccessKey: 'hunter2 x'",
            2,
            "stringData.secretAccessKey",
            "holds blanks",
        )],
    );
}

#[test]
fn damaged_certificates_and_keys() {
    let block = |label: &str, body: &str| {
        format!("|\n    -----BEGIN {label}-----\n    {body}\n    -----END {label}-----")
    };
    let ca = |value: &str| format!("  ca.crt: {value}");
    let key = |value: &str| format!("  tls.crt: <cert>\n  tls.key: {value}");
    check_malformed(
        COMPOSER,
        &[
            (
                &ca("hunter2"),
                1,
                "stringData[\"ca.crt\"]",
                "is not a certificate in PEM; write the file as it is",
            ),
            (
                &ca(&block("CERTIFICATE", "hunter2!")),
                1,
                "stringData[\"ca.crt\"]",
                "is damaged: what follows -----BEGIN CERTIFICATE----- is not base64",
            ),
            (
                &ca("'-----BEGIN CERTIFICATE-----'"),
                1,
                "stringData[\"ca.crt\"]",
                "has no line -----END CERTIFICATE-----",
            ),
            (
                &ca(&block("CERTIFICATE", "AAAA").replace('|', ">")),
                1,
                "stringData[\"ca.crt\"]",
                "has its lines run together; in YAML, write the value with | and not with >",
            ),
            (
                &ca(&block("PRIVATE KEY", "AAAA")),
                1,
                "stringData[\"ca.crt\"]",
                "is not a certificate in PEM",
            ),
            (
                &key(&block("CERTIFICATE", "AAAA")),
                2,
                "stringData[\"tls.key\"]",
                "is not a private key in PEM",
            ),
        ],
    );
}

/// One bad Secret is told of once, however many Repositories use it, and also in base64.
#[test]
fn a_bad_value_is_told_once_and_where_it_stands() {
    let second = repository(COMPOSER)
        .rsplit("---\n")
        .next()
        .unwrap()
        .replace("{name: acme}", "{name: two}");
    let text = format!(
        "{}---\n{second}\n  credentialsSecretRef:\n    name: creds\n",
        with_secret(COMPOSER, "  ca.crt: aHVudGVyMg==").replace("stringData", "data")
    );
    check(&[(
        &text,
        20,
        "data[\"ca.crt\"]",
        "Secret \"creds\": data[\"ca.crt\"]: is not a certificate in PEM",
    )]);
}
