//! What pods over servers are told: a `ConfigMap` with everything but secrets.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::ResourceExt;
use package_broker_crds::{PackageBroker, S3};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{
    CONFIGURATION, HTTP, OPERATIONS, SETTINGS, named,
    pod::{DATA, MOUNTED, SHUTDOWN},
};
use crate::{
    children::{child_of, labels},
    database::digest,
    package_broker::servers::{KEYS, Servers},
};

/// The `ConfigMap`, and a digest of all that pods read at their start: of the secrets too.
pub(super) fn build(broker: &PackageBroker, servers: &Servers) -> (ConfigMap, String) {
    let text = settings(broker, servers).to_string();
    let mut parts = vec![text.as_bytes()];
    for file in &servers.files {
        parts.push(file.name.as_bytes());
        parts.push(file.value.expose_secret().as_bytes());
    }
    let digest = hex::encode(&digest(parts)[..8]);
    let map = ConfigMap {
        metadata: child_of(
            broker,
            &named(broker, CONFIGURATION),
            labels(&broker.name_any()),
        ),
        data: Some(BTreeMap::from([(SETTINGS.to_owned(), text)])),
        ..ConfigMap::default()
    };
    (map, digest)
}

fn settings(broker: &PackageBroker, servers: &Servers) -> Value {
    let file = |name: &str| -> Option<Value> {
        let is_there = servers.files.iter().any(|file| file.name == name);
        is_there.then(|| format!("{MOUNTED}/{name}").into())
    };
    let database = broker.spec.database.as_ref();
    let url = match file("database-url") {
        Some(file) => ("urlFile", Some(file)),
        // Without the password there is no secret in it.
        None => ("url", Some(servers.access.url.expose_secret().into())),
    };
    let connections = database.and_then(|database| database.max_connections);
    let mut settings = json!({
        "listen": format!("0.0.0.0:{HTTP}"),
        "metricsListen": format!("0.0.0.0:{OPERATIONS}"),
        "shutdownSeconds": SHUTDOWN,
        "logFormat": "json",
        "data": DATA,
        "database": object([
            url,
            ("passwordFile", file("database-password")),
            ("caFile", file("database-ca.pem")),
            ("maxConnections", connections.map(Value::from)),
        ]),
        "encryption": {"keysFile": format!("{MOUNTED}/{KEYS}")},
    });
    if let Some(storage) = &broker.spec.storage {
        settings["storage"] = bucket(&storage.s3, servers, file);
    }
    if let Some(cache) = &broker.spec.cache {
        let usual = || {
            let namespace = broker.namespace().unwrap_or_default();
            format!("package-broker:{namespace}/{}:", broker.name_any())
        };
        let prefix = cache.redis.prefix.clone().unwrap_or_else(usual);
        settings["cache"] = object([
            ("urlFile", file("cache-url")),
            ("caFile", file("cache-ca.pem")),
            ("prefix", Some(prefix.into())),
        ]);
    }
    settings
}

fn bucket(s3: &S3, servers: &Servers, file: impl Fn(&str) -> Option<Value>) -> Value {
    let text = |text: &Option<String>| text.clone().map(Value::from);
    object([
        ("bucket", Some(s3.bucket.clone().into())),
        ("endpoint", text(&s3.endpoint)),
        ("region", text(&s3.region)),
        (
            "pathStyle",
            Some(s3.path_style.unwrap_or(s3.endpoint.is_some()).into()),
        ),
        ("prefix", text(&s3.prefix)),
        ("accessKeyId", text(&servers.access_key_id)),
        ("secretAccessKeyFile", file("storage-secret")),
        ("sessionTokenFile", file("storage-session")),
        ("caFile", file("storage-ca.pem")),
    ])
}

/// What is there of these.
fn object<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let fields = fields.into_iter();
    let present = fields.filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(present.collect())
}
