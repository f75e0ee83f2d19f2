//! What is refused, and in which words.

use serde_json::json;

use super::*;

#[test]
fn rejects_package_brokers() {
    const URL: &str = "spec.externalUrl: not a public URL; write http(s)://host[:port][/path] without user, query and fragment";
    const BYTES: &str = "is not an amount of bytes; write a positive number with k, M, G, Ki, Mi or Gi, for instance 512Mi";
    const NETWORK: &str = "is not a network in CIDR notation; write address/bits, for instance 10.0.0.0/8 or 192.0.2.7/32";
    const PATTERN: &str = "is not a pattern of package names; write vendor/name with * as wildcard, for instance acme/*";
    let mirror = "spec.packagist.url: not the URL of a Composer repository; write https://host[/path] without user, query and fragment";
    let off = "spec.packagist.enabled: the mirror is off, so url and mode have no effect; set spec.packagist.enabled to true, or remove them";
    let rejected = [
        (json!({"externalUrl": "packages.example.com"}), URL.to_owned()),
        (json!({"externalUrl": "ftp://example.com"}), URL.to_owned()),
        (json!({"externalUrl": "https://me@example.com"}), URL.to_owned()),
        (json!({"externalUrl": "https://example.com?a=b"}), URL.to_owned()),
        (json!({"externalUrl": "https://example.com/#x"}), URL.to_owned()),
        (json!({"externalUrl": ""}), URL.to_owned()),
        (json!({"externalUrl": format!("https://h/{}", "x".repeat(2048))}), "spec.externalUrl: is longer than 2048 characters; shorten it".to_owned()),
        (json!({"externalUrl": 5}), "spec.externalUrl: is a number, not a string; put the value in quotes".to_owned()),
        (json!({"external_url": "https://h"}), "spec.external_url: unknown field; did you mean externalUrl?".to_owned()),
        (json!({"replica": 2}), "spec.replica: unknown field; did you mean replicas?".to_owned()),
        (json!({"highAvailability": 2}), "spec.highAvailability: unknown field; remove it; known here: administrator, allowedNamespaces, archives, audit, autoscaling, cache, database, deletionPolicy, egress, expose, externalUrl, image, limits, monitoring, networkPolicy, ownedNames, packagist, podTemplate, replicas, resources, storage, suspend, sync, trustedProxies, volume".to_owned()),
        (json!({"trustedProxies": ["10.0.0.1"]}), format!("spec.trustedProxies[0]: \"10.0.0.1\" {NETWORK}")),
        (json!({"trustedProxies": ["10.0.0.0/08"]}), format!("spec.trustedProxies[0]: \"10.0.0.0/08\" {NETWORK}")),
        (json!({"trustedProxies": ["010.0.0.0/8"]}), format!("spec.trustedProxies[0]: \"010.0.0.0/8\" {NETWORK}")),
        (json!({"trustedProxies": ["::ffff:10.0.0.1/104"]}), format!("spec.trustedProxies[0]: \"::ffff:10.0.0.1/104\" {NETWORK}")),
        (json!({"trustedProxies": ["proxy.example.com"]}), format!("spec.trustedProxies[0]: \"proxy.example.com\" {NETWORK}")),
        (json!({"trustedProxies": ["::1/128", "10.0.0.0/8", "::1/128"]}), "spec.trustedProxies[2]: is in the list already; remove it".to_owned()),
        (json!({"trustedProxies": networks(33)}), "spec.trustedProxies: has more than 32 items; merge or remove some".to_owned()),
        (json!({"ownedNames": "acme/*"}), "spec.ownedNames: is a string, not a list; write a list, each item on a line of its own after \"- \"".to_owned()),
        (json!({"ownedNames": ["acme"]}), format!("spec.ownedNames[0]: \"acme\" {PATTERN}")),
        (json!({"ownedNames": ["a/b", "acme/lib-"]}), format!("spec.ownedNames[1]: \"acme/lib-\" {PATTERN}")),
        (json!({"ownedNames": ["Acme/Lib"]}), "spec.ownedNames[0]: \"Acme/Lib\" has capitals and package names have none; write acme/lib".to_owned()),
        (json!({"ownedNames": ["a/b", "a/b"]}), "spec.ownedNames[1]: is in the list already; remove it".to_owned()),
        (json!({"ownedNames": patterns(257)}), "spec.ownedNames: has more than 256 items; merge or remove some".to_owned()),
        (json!({"packagist": {"enabled": "yes"}}), "spec.packagist.enabled: is a string, not a boolean; write true or false".to_owned()),
        (json!({"packagist": {"enabled": true, "url": "repo.packagist.org"}}), mirror.to_owned()),
        (json!({"packagist": {"enabled": true, "url": "https://u:p@repo.packagist.org"}}), mirror.to_owned()),
        (json!({"packagist": {"enabled": true, "url": "http://repo.packagist.org"}}), "spec.packagist.url: plain http is refused; use https, or set spec.egress.allowHttp to true".to_owned()),
        (json!({"packagist": {"url": "https://mirror.example.com"}}), off.to_owned()),
        (json!({"packagist": {"enabled": false, "url": "https://mirror.example.com"}}), off.to_owned()),
        (json!({"packagist": {"mode": "eager"}}), "spec.packagist.mode: \"eager\" is not one of lazy; write lazy".to_owned()),
        (json!({"egress": {"allowedNetworks": ["10.0.0.1"]}}), format!("spec.egress.allowedNetworks[0]: \"10.0.0.1\" {NETWORK}")),
        (json!({"egress": {"allowedNetworks": ["10.0.0.0/33"]}}), format!("spec.egress.allowedNetworks[0]: \"10.0.0.0/33\" {NETWORK}")),
        (json!({"egress": {"allowHttp": 1}}), "spec.egress.allowHttp: is a number, not a boolean; write true or false".to_owned()),
        (json!({"egress": []}), "spec.egress: is a list, not a map; write fields, each on a line of its own as \"name: value\"".to_owned()),
        (json!({"sync": {"maxConcurrent": 0}}), "spec.sync.maxConcurrent: is less than 1; write 1 or more".to_owned()),
        (json!({"sync": {"maxConcurrent": 65}}), "spec.sync.maxConcurrent: is more than 64; write 64 or less".to_owned()),
        (json!({"sync": {"packagesPerRepository": 0}}), "spec.sync.packagesPerRepository: is less than 1; write 1 or more".to_owned()),
        (json!({"sync": {"perHost": 65}}), "spec.sync.perHost: is more than 64; write 64 or less".to_owned()),
        (json!({"sync": {"perHost": 1.5}}), "spec.sync.perHost: is a number, not a whole number; write a whole number".to_owned()),
        (json!({"archives": {"redirect": "yes"}}), "spec.archives.redirect: is a string, not a boolean; write true or false".to_owned()),
        (json!({"archives": {"redirects": true}}), "spec.archives.redirects: unknown field; did you mean redirect?".to_owned()),
        (json!({"limits": {"requestsPerHourPerAddress": 59}}), "spec.limits.requestsPerHourPerAddress: is less than 60; write 60 or more".to_owned()),
        (json!({"limits": {"requestsPerHourPerAddress": 10_000_001}}), "spec.limits.requestsPerHourPerAddress: is more than 10000000; write 10000000 or less".to_owned()),
        (json!({"limits": {"requestsPerHourPerAddress": "100"}}), "spec.limits.requestsPerHourPerAddress: is a string, not a whole number; write a whole number without quotes".to_owned()),
        (json!({"limits": {"maxArchiveSize": "512MB"}}), format!("spec.limits.maxArchiveSize: \"512MB\" {BYTES}")),
        (json!({"limits": {"maxMetadataSize": "0"}}), format!("spec.limits.maxMetadataSize: \"0\" {BYTES}")),
        (json!({"audit": {"enabled": "no"}}), "spec.audit.enabled: is a string, not a boolean; write true or false".to_owned()),
        (json!({"audit": {"retention": "90d"}}), "spec.audit.retention: \"90d\" is not a duration; write a number and a unit (ms, s, m, h), for instance 5m".to_owned()),
        (json!({"audit": {"retention": "59s"}}), "spec.audit.retention: records would be gone before anybody can read them; write 1m or more, for instance 2160h".to_owned()),
        (json!({"limits": {"documentCacheSize": "9999999Gi"}}), format!("spec.limits.documentCacheSize: \"9999999Gi\" {BYTES}")),
    ];
    for (spec, expected) in rejected {
        assert_eq!(verdict(&broker(spec.clone())), expected, "{spec}");
    }
}

#[test]
fn rejects_types_and_urls_of_repositories() {
    const GIT: &str = "spec.url: not a git URL; write https://host/path, ssh://git@host/path, git@host:path or file:///path";
    const FOLDER: &str =
        "spec.url: not a folder or bucket; write a path, a file:///path URL or s3://bucket/prefix";
    const CREDENTIALS: &str = "spec.url: credentials do not belong in the URL; put them in a Secret and name it in spec.credentialsSecretRef";
    let rejected = [
        (
            repository("vcs", "https://h/x", json!({})),
            "spec.type: \"vcs\" is not one of composer, git, github, gitlab, bitbucket, artifact; write composer or git or github or gitlab or bitbucket or artifact",
        ),
        (
            repository("gitt", "https://h/x", json!({})),
            "spec.type: \"gitt\" is not one of composer, git, github, gitlab, bitbucket, artifact; did you mean git?",
        ),
        (
            repository("composer", "", json!({})),
            "spec.url: is empty; write a value, or remove the field",
        ),
        (
            repository("composer", "file:///x", json!({})),
            "spec.url: not the URL of a Composer repository; write https://host[/path] without query and fragment",
        ),
        (
            repository("composer", "https://h/?q=1", json!({})),
            "spec.url: not the URL of a Composer repository; write https://host[/path] without query and fragment",
        ),
        (
            repository("composer", "https://u:p@h/x", json!({})),
            CREDENTIALS,
        ),
        (git("https://u@h/x"), CREDENTIALS),
        (git("ssh://git:pw@h/x"), CREDENTIALS),
        (git("lib.git"), GIT),
        (git("git://h/x"), GIT),
        (git("ext::sh -c x"), GIT),
        (git("https://h"), GIT),
        (git("file://relative"), GIT),
        (repository("artifact", "https://h/x", json!({})), FOLDER),
        (repository("artifact", "file://x", json!({})), FOLDER),
        (
            composer(json!({"git": {}})),
            "spec.git: only a git repository has this; remove it, or set spec.type to git, github, gitlab or bitbucket",
        ),
        (
            repository("git", "https://h/x", json!({"sync": {"mode": "lazy"}})),
            "spec.sync.mode: only a source of type composer has a mode, the others are always read whole; remove it",
        ),
        (
            repository(
                "artifact",
                "/x",
                json!({"credentialsSecretRef": {"name": "a"}}),
            ),
            "spec.credentialsSecretRef: a local folder takes no credentials; remove it",
        ),
        (
            repository(
                "git",
                "file:///x",
                json!({"credentialsSecretRef": {"name": "a"}}),
            ),
            "spec.credentialsSecretRef: a local folder takes no credentials; remove it",
        ),
    ];
    for (document, expected) in rejected {
        assert_eq!(verdict(&document), expected, "{document}");
    }
}

#[test]
fn rejects_repositories_that_no_host_has() {
    const HOSTED: &str = "spec.url: not a repository on such a host; write https://host/owner/name, or git@host:owner/name.git";
    const CREDENTIALS: &str = "spec.url: credentials do not belong in the URL; put them in a Secret and name it in spec.credentialsSecretRef";
    let rejected = [
        (
            repository("github", "https://u@h/acme/lib", json!({})),
            CREDENTIALS,
        ),
        (
            repository("github", "https://github.com/acme", json!({})),
            HOSTED,
        ),
        (
            repository("gitlab", "https://gitlab.com/acme/", json!({})),
            HOSTED,
        ),
        (
            repository("bitbucket", "file:///srv/lib.git", json!({})),
            HOSTED,
        ),
        (
            repository("github", "https://github.com/acme/lib?tab=tags", json!({})),
            HOSTED,
        ),
        (
            composer(json!({"webhook": {}})),
            "spec.webhook.secretRef: is required; add secretRef (Secret that calls are proven with)",
        ),
    ];
    for (document, expected) in rejected {
        assert_eq!(verdict(&document), expected, "{document}");
    }
}

#[test]
fn rejects_buckets() {
    const FORM: &str =
        "spec.url: not a folder or bucket; write a path, a file:///path URL or s3://bucket/prefix";
    const PREFIX: &str = "spec.url: the prefix has an empty part, . or ..; write it as keys begin, for instance s3://bucket/team/php";
    const OTHER: &str =
        "spec.bucket: only a bucket has this; remove it, or write spec.url as s3://bucket/prefix";
    const ENDPOINT: &str = "spec.bucket.endpoint: not the URL of an S3 service; write https://host[:port] without user, query and fragment";
    let at = |url: &str| repository("artifact", url, json!({}));
    let with = |bucket| repository("artifact", "s3://acme/php", json!({"bucket": bucket}));
    let rejected = [
        (at("s3://"), FORM),
        (at("s3:///php"), FORM),
        (at("s3://ab"), FORM),
        (at("s3://a b/php"), FORM),
        (at("s3://acme?x=1"), FORM),
        (at("s3://acme/php#x"), FORM),
        (at("s3:acme/php"), FORM),
        (at("S3://acme/php"), FORM),
        (at("s3://acme//php"), PREFIX),
        (at("s3://acme/php//"), PREFIX),
        (at("s3://acme/../php"), PREFIX),
        (at("s3://acme/php/.."), PREFIX),
        (at("s3://acme/./php"), PREFIX),
        (
            repository("artifact", "/srv/x", json!({"bucket": {}})),
            OTHER,
        ),
        (
            repository("git", "https://h/x", json!({"bucket": {}})),
            OTHER,
        ),
        (with(json!({"endpoint": "minio.example.com"})), ENDPOINT),
        (
            with(json!({"endpoint": "s3://minio.example.com"})),
            ENDPOINT,
        ),
        (with(json!({"endpoint": "https://me@h"})), ENDPOINT),
        (with(json!({"endpoint": "https://h/?x"})), ENDPOINT),
        (
            with(json!({"region": "eu central"})),
            "spec.bucket.region: not a region; write its name, for instance eu-central-1",
        ),
        (
            with(json!({"pathstyle": true})),
            "spec.bucket.pathstyle: unknown field; did you mean pathStyle?",
        ),
        (
            with(json!({"pathStyle": "yes"})),
            "spec.bucket.pathStyle: is a string, not a boolean; write true or false",
        ),
    ];
    for (document, expected) in rejected {
        assert_eq!(verdict(&document), expected, "{document}");
    }
}

#[test]
fn rejects_fields_of_repositories() {
    const FOLDER: &str = "spec.git.path: not a folder within the repository; write a relative path without . and .., for instance packages/lib";
    let at_path = |path: &str| repository("git", "https://h/x", json!({"git": {"path": path}}));
    let at_refs = |refs: &str| repository("git", "https://h/x", json!({"git": {"refs": [refs]}}));
    let rejected = [
        (
            composer(json!({"credentialsSecretRef": {}})),
            "spec.credentialsSecretRef.name: is required; add name (Name of a Secret in the same namespace)",
        ),
        (
            composer(json!({"brokerRef": {"name": "Main"}})),
            "spec.brokerRef.name: \"Main\" is not an object name; use lower case letters, digits, - and ., starting and ending with a letter or digit",
        ),
        (
            composer(json!({"brokerRef": null})),
            "spec.brokerRef: is required; add brokerRef (The PackageBroker that serves these packages)",
        ),
        (
            composer(json!({"brokerRef": {"name": "main", "kind": "x"}})),
            "spec.brokerRef.kind: unknown field; remove it; known here: name, namespace",
        ),
        (
            composer(json!({"versions": {"stability": "rc"}})),
            "spec.versions.stability: \"rc\" is not one of dev, alpha, beta, RC, stable; did you mean RC?",
        ),
        (
            composer(json!({"versions": {"retain": 0}})),
            "spec.versions.retain: is less than 1; write 1 or more",
        ),
        (
            composer(json!({"git": {"refs": ["refs/tags/*"]}})),
            "spec.git: only a git repository has this; remove it, or set spec.type to git, github, gitlab or bitbucket",
        ),
        (
            at_refs("v*"),
            "spec.git.refs[0]: \"v*\" is not a pattern of tags or branches; write full names with * as wildcard, for instance refs/tags/v* or refs/heads/main",
        ),
        (
            at_refs("refs/tags/a..b"),
            "spec.git.refs[0]: \"refs/tags/a..b\" is not a pattern of tags or branches; write full names with * as wildcard, for instance refs/tags/v* or refs/heads/main",
        ),
        (
            composer(json!({"priority": "high"})),
            "spec.priority: is a string, not a whole number; write a whole number without quotes",
        ),
        (
            composer(json!({"priority": 2_000_000})),
            "spec.priority: is more than 1000000; write 1000000 or less",
        ),
        (
            composer(json!({"packages": {"include": ["x/y", "x/y"]}})),
            "spec.packages.include[1]: is in the list already; remove it",
        ),
        (
            composer(json!({"packages": {"exclude": ["x"]}})),
            "spec.packages.exclude[0]: \"x\" is not a pattern of package names; write vendor/name with * as wildcard, for instance acme/*",
        ),
        (
            composer(json!({"packages": {"includes": []}})),
            "spec.packages.includes: unknown field; did you mean include?",
        ),
        (
            composer(json!({"sync": {"mode": "fast"}})),
            "spec.sync.mode: \"fast\" is not one of eager, lazy; write eager or lazy",
        ),
        (
            composer(json!({"sync": {"interval": "5"}})),
            "spec.sync.interval: \"5\" is not a duration; write a number and a unit (ms, s, m, h), for instance 5m",
        ),
        (
            composer(json!({"sync": {"interval": "9s"}})),
            "spec.sync.interval: shorter than 10s; write 10s or more",
        ),
        (
            composer(json!({"sync": {"interval": "1111111111111111111h"}})),
            "spec.sync.interval: \"1111111111111111111h\" is not a duration; write a number and a unit (ms, s, m, h), for instance 5m",
        ),
        (
            composer(json!({"sync": {"timeout": "1d"}})),
            "spec.sync.timeout: \"1d\" is not a duration; write a number and a unit (ms, s, m, h), for instance 5m",
        ),
        (
            composer(json!({"sync": {"timeout": "999ms"}})),
            "spec.sync.timeout: shorter than 1s; write 1s or more",
        ),
        (at_path("../x"), FOLDER),
        (at_path("/x"), FOLDER),
        (at_path("a/./b"), FOLDER),
        (at_path("a//b"), FOLDER),
    ];
    for (document, expected) in rejected {
        assert_eq!(verdict(&document), expected, "{document}");
    }
}

#[test]
fn rejects_access_tokens() {
    let rejected = [
        (
            json!({"permission": "write"}),
            "spec.permission: \"write\" is not one of read; write read",
        ),
        (
            json!({"scopes": {"packages": ["acme/"]}}),
            "spec.scopes.packages[0]: \"acme/\" is not a pattern of package names; write vendor/name with * as wildcard, for instance acme/*",
        ),
        (
            json!({"scopes": {"repositories": ["a_b"]}}),
            "spec.scopes.repositories[0]: \"a_b\" is not an object name; use lower case letters, digits, - and ., starting and ending with a letter or digit",
        ),
        (
            json!({"scopes": {"repositories": ["a", "a"]}}),
            "spec.scopes.repositories[1]: is in the list already; remove it",
        ),
        (
            json!({"rateLimit": {"requestsPerHour": 59}}),
            "spec.rateLimit.requestsPerHour: is less than 60; write 60 or more",
        ),
        (
            json!({"rateLimit": {"requestsPerHour": 10_000_001}}),
            "spec.rateLimit.requestsPerHour: is more than 10000000; write 10000000 or less",
        ),
        (
            json!({"rateLimit": {}}),
            "spec.rateLimit.requestsPerHour: is required; add requestsPerHour (Requests an hour, 60 to 10000000)",
        ),
        (
            json!({"rateLimit": 100}),
            "spec.rateLimit: is a number, not a map; write fields, each on a line of its own as \"name: value\"",
        ),
        (
            json!({"expiresAt": "tomorrow"}),
            "spec.expiresAt: is not a time in RFC 3339; write for instance 2027-01-31T00:00:00Z",
        ),
        (
            json!({"expiresAt": "2027-01-31"}),
            "spec.expiresAt: is not a time in RFC 3339; write for instance 2027-01-31T00:00:00Z",
        ),
        (
            json!({"expiresAt": "2027-02-31T00:00:00Z"}),
            "spec.expiresAt: is not a time in RFC 3339; write for instance 2027-01-31T00:00:00Z",
        ),
        (
            json!({"existingSecretRef": {"key": "token"}}),
            "spec.existingSecretRef.name: is required; add name (Name of a Secret in the same namespace)",
        ),
        (
            json!({"existingSecretRef": {"name": "x", "key": "a b"}}),
            "spec.existingSecretRef.key: \"a b\" is not a key of a Secret; use letters, digits, -, _ and . only",
        ),
        (
            json!({"token": "abc"}),
            "spec.token: unknown field; remove it; known here: brokerRef, existingSecretRef, expiresAt, permission, rateLimit, rotation, scopes, secret, suspend, ttl",
        ),
    ];
    for (spec, expected) in rejected {
        assert_eq!(verdict(&token(spec.clone())), expected, "{spec}");
    }
}

#[test]
fn rejects_what_no_object_may_be() {
    const NAME: &str = "is not a name; use at most 253 lower case letters, digits, - and ., starting and ending with a letter or digit";
    let rejected = [
        (named(json!({})), "metadata.name: is required; add name (Name of the object)".to_owned()),
        (named(json!({"name": "Main"})), format!("metadata.name: \"Main\" {NAME}")),
        (named(json!({"name": "-a"})), format!("metadata.name: \"-a\" {NAME}")),
        (named(json!({"name": ""})), format!("metadata.name: \"\" {NAME}")),
        (named(json!({"name": "x".repeat(64)})), "metadata.name: the name is longer than 63 characters; choose a shorter one".to_owned()),
        (named(json!({"name": "a", "namespace": "a.b"})), "metadata.namespace: \"a.b\" is not a namespace; use at most 63 lower case letters, digits and -, starting and ending with a letter or digit".to_owned()),
        (named(json!({"name": "a", "labels": {"a": "b c"}})), "metadata.labels.a: is not the value of a label; use at most 63 letters, digits, -, _ and ., or make it an annotation".to_owned()),
        (named(json!({"name": "a", "annotations": {"/a": "b"}})), "metadata.annotations[\"/a\"]: is not a key; write name or example.com/name, of letters, digits, -, _ and .".to_owned()),
        (named(json!({"name": "a", "annotations": {"a": 1}})), "metadata.annotations.a: is a number, not a string; put the value in quotes".to_owned()),
        (named(json!({"name": "a", "label": {}})), "metadata.label: unknown field; did you mean labels?".to_owned()),
        (named(json!({"name": "a", "generation": "2"})), "metadata.generation: is a string, not a whole number; write a whole number without quotes".to_owned()),
        (named(json!({"name": "a", "finalizers": "x"})), "metadata.finalizers: is a string, not a list; write a list, each item on a line of its own after \"- \"".to_owned()),
        (named(json!({"name": "a", "managedField": []})), "metadata.managedField: unknown field; remove it; known here: name, namespace, labels, annotations".to_owned()),
        (named(json!({"generateName": "a-", "name": "a"})), "metadata.generateName: unknown field; remove it; known here: name, namespace, labels, annotations".to_owned()),
        (json!({"kind": "Repository"}), "apiVersion: is not package.broker/v1alpha1; write apiVersion: package.broker/v1alpha1".to_owned()),
        (json!({"apiVersion": API_VERSION, "kind": "Repositori"}), "kind: is not a kind of this group; did you mean Repository?".to_owned()),
        (json!({"apiVersion": API_VERSION, "kind": "User"}), "kind: is not a kind of this group; write PackageBroker, Repository or AccessToken".to_owned()),
        (named(json!({"name": "a.b"})), "metadata.name: the name is also that of a Service; use lower case letters, digits and -, beginning with a letter".to_owned()),
        (json!({"apiVersion": API_VERSION, "kind": "PackageBroker", "metadata": {"name": "a"}}), "spec: is required; add spec (A private Composer registry)".to_owned()),
    ];
    for (document, expected) in rejected {
        assert_eq!(verdict(&document), expected, "{document}");
    }
}
