//! For each rule and bound a document that keeps it and one that breaks it, with the exact words.

mod cost;
mod defaults;
mod namespaces;
mod rejected;
mod schedules;
mod servers;
mod several;
mod surroundings;
mod tokens;
mod urls;

use serde_json::{Value, json};

use super::*;

fn broker(spec: Value) -> Value {
    let mut document = json!({
        "apiVersion": API_VERSION, "kind": "PackageBroker", "metadata": {"name": "main"},
    });
    document["spec"] = spec;
    document
}

/// A Repository of a type and URL with more fields in its spec.
fn repository(kind: &str, url: &str, more: Value) -> Value {
    let mut spec = json!({"brokerRef": {"name": "main"}, "type": kind, "url": url});
    merge(&mut spec, more);
    json!({"apiVersion": API_VERSION, "kind": "Repository", "metadata": {"name": "acme"}, "spec": spec})
}

fn composer(more: Value) -> Value {
    repository("composer", "https://repo.example.com", more)
}

fn git(url: &str) -> Value {
    repository("git", url, json!({}))
}

fn token(more: Value) -> Value {
    let mut spec = json!({"brokerRef": {"name": "main"}});
    merge(&mut spec, more);
    json!({"apiVersion": API_VERSION, "kind": "AccessToken", "metadata": {"name": "ci"}, "spec": spec})
}

fn named(name: Value) -> Value {
    let mut document = broker(json!({}));
    document["metadata"] = name;
    document
}

fn merge(into: &mut Value, more: Value) {
    let Value::Object(more) = more else {
        panic!("not a map")
    };
    for (name, value) in more {
        into[name] = value;
    }
}

/// Keeps a document for the suites on a cluster, which ask an API server about it too: as a line in the file that
/// `CRD_CASES` names.
fn record(document: &Value) {
    let Some(file) = std::env::var_os("CRD_CASES") else {
        return;
    };
    let line = serde_json::json!({"document": document, "admitted": admit(document).is_ok()});
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.append(true).create(true).open(file).unwrap();
    std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
}

fn verdict(document: &Value) -> String {
    record(document);
    match admit(document) {
        Ok(_) => String::new(),
        Err(errors) => errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    }
}

fn patterns(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("acme/p{number}")).collect()
}

fn networks(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("10.{number}.0.0/16"))
        .collect()
}

fn texts(count: usize) -> Value {
    let texts = (0..count).map(|number| (format!("k{number}"), Value::from("v")));
    Value::Object(texts.collect())
}

#[test]
fn accepts() {
    let long = "x".repeat(63);
    let accepted = [
        broker(json!({})),
        broker(json!({"externalUrl": null})),
        broker(json!({"externalUrl": "https://packages.example.com"})),
        broker(json!({"externalUrl": "http://127.0.0.1:8080/composer/"})),
        broker(
            json!({"trustedProxies": ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32", "0.0.0.0/0", "::/0", "10.20.30.0/24"]}),
        ),
        broker(json!({"trustedProxies": networks(32)})),
        broker(json!({"ownedNames": ["acme/*", "*", "*/*-bundle", "a/b_c.d--e"]})),
        broker(json!({"ownedNames": patterns(256)})),
        broker(json!({"packagist": {"enabled": true}})),
        broker(
            json!({"packagist": {"enabled": true, "url": "https://mirror.example.com/composer", "mode": "lazy"}}),
        ),
        broker(
            json!({"packagist": {"enabled": false, "url": "https://repo.packagist.org", "mode": "lazy"}}),
        ),
        broker(
            json!({"packagist": {"enabled": true, "url": "http://10.0.0.1"}, "egress": {"allowHttp": true}}),
        ),
        broker(
            json!({"egress": {"allowedNetworks": ["127.0.0.0/8", "::1/128"], "allowFileUrls": true}}),
        ),
        broker(json!({"sync": {"maxConcurrent": 1, "packagesPerRepository": 64, "perHost": 64}})),
        broker(
            json!({"limits": {"maxArchiveSize": "2Gi", "maxMetadataSize": "65536", "documentCacheSize": "1M"}}),
        ),
        broker(json!({"limits": {"requestsPerHourPerAddress": 60}})),
        broker(json!({"limits": {"requestsPerHourPerAddress": 10_000_000}})),
        named(json!({"name": long, "namespace": "team-a"})),
        named(
            json!({"name": "a-b", "labels": {"app.kubernetes.io/name": "x", "a": ""}, "annotations": {"note": "any text"}}),
        ),
        named(
            json!({"name": "a", "uid": "1", "resourceVersion": "1", "generation": 2, "managedFields": [{}], "creationTimestamp": "2026-01-01T00:00:00Z"}),
        ),
        named(
            json!({"name": "a", "creationTimestamp": null, "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 30,
                "finalizers": ["example.com/x"], "ownerReferences": [{"kind": "X", "name": "x"}], "selfLink": "/x"}),
        ),
        composer(json!({})),
        composer(
            json!({"priority": -1_000_000, "packages": {"include": ["acme/*"], "exclude": ["acme/x"]}}),
        ),
        composer(json!({"sync": {"mode": "lazy", "interval": "10s", "timeout": "1s"}})),
        composer(json!({"sync": {"mode": "eager", "interval": "1h30m"}})),
        composer(json!({"credentialsSecretRef": {"name": "creds"}})),
        repository("composer", "http://127.0.0.1:8080/a/b", json!({})),
        git("https://git.example.com/acme/lib.git"),
        git("http://git.example.com/acme/lib"),
        git("ssh://git@git.example.com:2222/acme/lib.git"),
        git("ssh://git.example.com/acme/lib.git"),
        git("git@git.example.com:acme/lib.git"),
        git("file:///srv/git/lib.git"),
        repository(
            "git",
            "https://h/x",
            json!({"git": {"path": "packages/lib"}}),
        ),
        repository(
            "git",
            "https://h/x",
            json!({"git": {"path": ".github/..x"}, "credentialsSecretRef": {"name": "a"}}),
        ),
        repository(
            "git",
            "https://h/x",
            json!({"git": {"refs": ["refs/tags/v*", "refs/heads/main", "refs/heads/release/*", "refs/tags/*"]}}),
        ),
        composer(json!({"versions": {"stability": "RC", "retain": 10}})),
        composer(json!({"versions": {"retain": 1}})),
        repository("artifact", "/srv/artifacts", json!({})),
        repository("artifact", "../my artifacts", json!({})),
        repository("artifact", "file:///srv/artifacts", json!({})),
        repository("artifact", "s3://acme-artifacts", json!({})),
        repository("artifact", "s3://acme.artifacts/", json!({"bucket": {}})),
        repository(
            "artifact",
            "s3://acme/team a/php/.x",
            json!({"bucket": {"region": "auto"}, "credentialsSecretRef": {"name": "a"}}),
        ),
        repository(
            "artifact",
            "s3://acme/php",
            json!({"bucket": {"endpoint": "http://127.0.0.1:9000/s3", "region": "eu-central-1", "pathStyle": false}}),
        ),
        token(json!({})),
        token(
            json!({"permission": "read", "scopes": {"packages": ["acme/*"], "repositories": ["acme"]}}),
        ),
        token(json!({"rateLimit": {"requestsPerHour": 60}})),
        token(json!({"rateLimit": {"requestsPerHour": 10_000_000}})),
        token(json!({"expiresAt": "2027-01-31T00:00:00Z"})),
        token(json!({"expiresAt": "2027-01-31T00:00:00.5+02:00"})),
        token(json!({"ttl": "1m"})),
        token(json!({"ttl": "720h", "secret": {"creationPolicy": "Orphan"}})),
        token(json!({"rotation": {"interval": "24h1s"}})),
        token(
            json!({"rotation": {"interval": "1m", "overlap": "59s"}, "expiresAt": "2027-01-31T00:00:00Z"}),
        ),
        token(json!({"rotation": {"interval": "1h", "overlap": "0s"}})),
        token(json!({"expiresAt": "2027-01-31T00:00:00Z", "existingSecretRef": {"name": "ci"}})),
        token(json!({"secret": {"name": "x", "creationPolicy": "Owner"}})),
        token(
            json!({"secret": {"template": {"labels": {"team": "php-1", "example.com/x": ""}, "annotations": {"example.com/note": "any text: at all"}}}}),
        ),
        token(json!({"secret": {"template": {"labels": texts(32), "annotations": texts(32)}}})),
        token(json!({"existingSecretRef": {"name": "ci"}})),
        token(json!({"existingSecretRef": {"name": "ci", "key": "pb_token.v1"}})),
    ];
    for document in accepted {
        assert_eq!(verdict(&document), "", "{document}");
    }
}

#[test]
fn what_cannot_change_does_not() {
    const FIXED: &str =
        "cannot change; delete the object, or give the one with the new value another name";
    let update = |old: &Value, new: &Value| match admit_update(old, new) {
        Ok(_) => String::new(),
        Err(errors) => errors
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n"),
    };
    let old = composer(json!({}));
    assert_eq!(update(&old, &composer(json!({"priority": 3}))), "");
    assert_eq!(
        update(&old, &composer(json!({"url": "https://other.example.com"}))),
        ""
    );
    assert_eq!(
        update(&old, &composer(json!({"brokerRef": {"name": "other"}}))),
        format!("spec.brokerRef: {FIXED}")
    );
    assert_eq!(
        update(
            &old,
            &composer(json!({"type": "git", "url": "https://h/x"}))
        ),
        format!("spec.type: {FIXED}")
    );
    assert_eq!(
        update(
            &token(json!({})),
            &token(json!({"brokerRef": {"name": "b"}}))
        ),
        format!("spec.brokerRef: {FIXED}")
    );
    assert_eq!(
        update(&old, &broker(json!({}))),
        "kind: is not that of the object to change; compare an object with its own earlier form"
    );
}

#[test]
fn secrets_in_urls_are_not_repeated() {
    for url in [
        "https://user:hunter2@h/x",
        "https://h/?token=hunter2",
        "ssh://git:hunter2@h/x",
        "s3://key:hunter2@acme/x",
    ] {
        for kind in ["composer", "git", "artifact"] {
            let said = verdict(&repository(kind, url, json!({})));
            assert!(!said.is_empty() && !said.contains("hunter2"), "{said}");
        }
    }
}
