//! Databases, buckets and what goes with them: what is refused, and its good neighbour.

use serde_json::json;

use super::*;

/// A spec with a database and a bucket, changed at one place.
fn servers(change: &Value) -> Value {
    let mut spec = json!({
        "database": {"secretRef": {"name": "db"}},
        "storage": {"s3": {"bucket": "packages", "credentialsSecretRef": {"name": "bucket"}}},
    });
    for (field, value) in change.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    broker(spec)
}

#[test]
fn accepts_servers() {
    let host = json!({"host": "postgres.databases.svc", "name": "packages", "credentialsSecretRef": {"name": "db"}});
    let mut all = host.clone();
    all["port"] = 5433.into();
    all["sslMode"] = "verify-ca".into();
    all["caSecretRef"] = json!({"name": "ca", "key": "root.pem"});
    all["maxConnections"] = 20.into();
    for change in [
        json!({}),
        json!({"replicas": 3}),
        json!({"replicas": 0}),
        json!({"database": host}),
        json!({"database": all}),
        json!({"database": {"secretRef": {"name": "db", "key": "uri"}, "maxConnections": 2}}),
        json!({"storage": {"s3": {"bucket": "a.b", "endpoint": "http://garage:3900", "region": "garage", "pathStyle": true, "prefix": "team/php", "credentialsSecretRef": {"name": "bucket"}}}}),
        json!({"storage": {"s3": {"bucket": "packages"}}, "podTemplate": {"serviceAccountName": "packages"}}),
        json!({"cache": {"redis": {"secretRef": {"name": "redis"}, "prefix": "php:"}}}),
        json!({"volume": {"size": "10Gi"}}),
    ] {
        assert_eq!(verdict(&servers(&change)), "", "{change}");
    }
    assert_eq!(verdict(&broker(json!({"replicas": 1}))), "");
}

#[test]
fn rejects_servers() {
    let one = "spec.database: name the Secret that holds the URL in secretRef, or write host, name and credentialsSecretRef; one of the two";
    let bucket = json!({"s3": {"bucket": "packages", "credentialsSecretRef": {"name": "bucket"}}});
    for (spec, expected) in [
        (json!({"database": {}, "storage": bucket}), one),
        (
            json!({"database": {"secretRef": {"name": "db"}, "host": "h", "name": "n", "credentialsSecretRef": {"name": "c"}}, "storage": bucket}),
            one,
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}, "name": "n"}, "storage": bucket}),
            "spec.database: the URL in the Secret says all of it; remove port, name, sslMode and credentialsSecretRef, or secretRef",
        ),
        (
            json!({"database": {"host": "h", "name": "n"}, "storage": bucket}),
            "spec.database: host alone is not enough; write name and credentialsSecretRef too",
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}, "sslMode": "prefer"}, "storage": bucket}),
            "spec.database.sslMode: \"prefer\" is not one of disable, require, verify-ca, verify-full; write disable or require or verify-ca or verify-full",
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}}}),
            "spec.database: with a database, archives need a bucket; write storage.s3, or remove database",
        ),
        (
            json!({"storage": bucket}),
            "spec.storage: a bucket needs a database beside it; write database, or remove storage",
        ),
        (
            json!({"cache": {"redis": {"secretRef": {"name": "r"}}}}),
            "spec.cache: without a database there is one pod, which shares nothing; write database and storage, or remove cache",
        ),
        (
            json!({"replicas": 2}),
            "spec.replicas: without a database there is one pod, with its state on a volume; write database and storage, or remove replicas",
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}}, "storage": bucket, "volume": {"size": "1Gi"}}),
            "spec.volume: with a database there is no volume; remove it",
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}}, "storage": {"s3": {"bucket": "packages"}}}),
            "spec.storage: the bucket needs a key or a role; write credentialsSecretRef, or name in spec.podTemplate.serviceAccountName the service account that has the role",
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}}, "storage": {}}),
            "spec.storage.s3: is required; add s3 (A bucket of an S3 service)",
        ),
        (
            json!({"database": {"secretRef": {"name": "db"}}, "storage": {"s3": {"bucket": "packages", "prefix": "a//b", "credentialsSecretRef": {"name": "bucket"}}}}),
            "spec.storage.s3.prefix: not a folder in a bucket; use letters, digits, ., _ and - between slashes, for instance team/php",
        ),
    ] {
        assert_eq!(verdict(&broker(spec.clone())), expected, "{spec}");
    }
}
