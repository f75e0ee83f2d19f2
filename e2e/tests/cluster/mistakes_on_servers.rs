//! What people get wrong about databases, buckets and Redis.

use serde_json::{Value, json};

use super::{
    backing::Servers,
    mistakes::{Mistake, mistake, with_secret},
};

/// A broker on these servers with something else at a path of its spec.
fn broker(servers: &Servers, name: &str, pointer: &str, value: Value) -> Value {
    let mut broker = servers.broker();
    broker["metadata"]["name"] = name.into();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    broker["spec"].pointer_mut(parent).unwrap()[field] = value;
    broker
}

/// All of them. The Secrets of `servers` are there.
pub(super) fn of_servers(servers: &Servers) -> Vec<Mistake> {
    let mut all = of_databases(servers);
    all.extend(of_others(servers));
    all
}

fn of_databases(servers: &Servers) -> Vec<Mistake> {
    let database = |name: &str, field: &str, value: Value| {
        broker(servers, name, &format!("/database/{field}"), value)
    };
    let secret = |name: &str| database(name, "credentialsSecretRef", json!({"name": name}));
    vec![
        mistake(
            secret("no-login"),
            "SecretNotFound",
            &[
                "spec.database.credentialsSecretRef.name",
                "no Secret \"no-login\"",
                "create it",
            ],
        ),
        with_secret(
            mistake(
                secret("no-password"),
                "InvalidSecret",
                &[
                    "has no text under the key \"password\"",
                    "its keys are: username",
                ],
            ),
            "no-password",
            &[("username", "packages")],
        ),
        with_secret(
            mistake(
                secret("wrong-password"),
                "DatabaseUnavailable",
                &["check the user and the password"],
            ),
            "wrong-password",
            &[("username", "packages0_owner"), ("password", "hunter2")],
        ),
        mistake(
            database("no-database", "name", json!("nowhere")),
            "DatabaseUnavailable",
            &["\"nowhere\" does not exist", "create the database"],
        ),
        mistake(
            database("closed-port", "port", json!(1)),
            "DatabaseUnavailable",
            &[":1/packages0", "refused"],
        ),
        with_secret(
            mistake(
                broker(
                    servers,
                    "no-url",
                    "/database",
                    json!({"secretRef": {"name": "no-url"}}),
                ),
                "InvalidSecret",
                &[
                    "spec.database.secretRef",
                    "begins with mysql:",
                    "write postgres://",
                ],
            ),
            "no-url",
            &[("url", "mysql://root:hunter2@db/packages")],
        ),
    ]
}

fn of_others(servers: &Servers) -> Vec<Mistake> {
    let s3 = |name: &str, field: &str, value: Value| {
        broker(servers, name, &format!("/storage/s3/{field}"), value)
    };
    vec![
        mistake(
            s3("no-bucket", "bucket", json!("nowhere")),
            "StorageUnavailable",
            &["the bucket `nowhere`", "there is no such bucket; create it"],
        ),
        with_secret(
            mistake(
                s3(
                    "wrong-key",
                    "credentialsSecretRef",
                    json!({"name": "wrong-key"}),
                ),
                "StorageUnavailable",
                &["the bucket `archives`"],
            ),
            "wrong-key",
            &[
                ("accessKeyId", "GK0000000000000000000000000"),
                ("secretAccessKey", "hunter2"),
            ],
        ),
        with_secret(
            mistake(
                broker(
                    servers,
                    "wrong-redis",
                    "/cache/redis/secretRef",
                    json!({"name": "wrong-redis"}),
                ),
                "CacheUnavailable",
                &["the cache does not answer"],
            ),
            "wrong-redis",
            &[("url", "redis://10.250.0.1:1")],
        ),
        mistake(
            broker(
                servers,
                "no-image-yet",
                "/image",
                json!({"tag": "of-tomorrow"}),
            ),
            "PodsNotReady",
            &["the migration Job does not run", "correct spec.image"],
        ),
        with_secret(
            mistake(
                broker(servers, "lost", "/replicas", json!(1)),
                "InvalidSecret",
                &["Secret \"lost-keys\", key \"keys\"", "put the keys back"],
            ),
            "lost-keys",
            &[("keys", "hunter2")],
        ),
    ]
}
