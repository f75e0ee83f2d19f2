//! PostgreSQL, Garage and Redis beside the pods of a cluster, and what leads to them.

use anyhow::Result;
use package_broker_e2e::{garage::Garage, place::Place, postgres::Postgres, redis::Redis};
use serde_json::{Value, json};

use super::manifests::{broker, with};

/// Servers beside the pods of a cluster.
pub(crate) struct Servers {
    postgres: Postgres,
    pub(crate) garage: Garage,
    pub(crate) redis: Redis,
    database: [String; 3],
}

impl Servers {
    pub(crate) fn start() -> Self {
        let place = Place::of_suites().unwrap();
        let postgres = Postgres::start_at(place.clone()).unwrap();
        Self {
            database: postgres.owned_database().unwrap(),
            postgres,
            garage: Garage::start_at(&place).unwrap(),
            redis: Redis::start_at(&place).unwrap(),
        }
    }

    /// Runs SQL in the database.
    pub(crate) fn sql(&self, statement: &str) -> Result<String> {
        self.postgres.sql(&self.database[0], statement)
    }

    /// As an accident would.
    pub(crate) fn drop_database(&self) {
        let statement = format!("DROP DATABASE {} WITH (FORCE)", self.database[0]);
        self.postgres.sql("postgres", &statement).unwrap();
    }

    /// An empty one in its place.
    pub(crate) fn create_database(&self) {
        let [name, owner, _] = &self.database;
        let statement = format!("CREATE DATABASE {name} OWNER {owner}");
        self.postgres.sql("postgres", &statement).unwrap();
    }

    /// The Secrets that lead to them.
    pub(crate) fn secrets(&self) -> Vec<Value> {
        let [_, owner, password] = &self.database;
        let secret = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        vec![
            secret("database", json!({"username": owner, "password": password})),
            secret(
                "bucket",
                json!({"accessKeyId": Garage::KEY, "secretAccessKey": Garage::SECRET}),
            ),
            secret("redis", json!({"url": self.redis.url()})),
        ]
    }

    /// Both halves of the key of the bucket, which is `archives`.
    pub(crate) const KEY: [&str; 2] = [Garage::KEY, Garage::SECRET];

    /// The URL of the database, with its owner and password.
    pub(crate) fn database_url(&self) -> String {
        let [name, owner, password] = &self.database;
        let (host, port) = (self.postgres.place().address(), self.postgres.port());
        format!("postgres://{owner}:{password}@{host}:{port}/{name}?sslmode=disable")
    }

    /// The URL of Redis, with its password.
    pub(crate) fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The URL of the S3 service.
    pub(crate) fn endpoint(&self) -> String {
        self.garage.endpoint()
    }

    /// A broker on them.
    pub(crate) fn broker(&self) -> Value {
        with(
            broker(),
            &json!({
                "database": {
                    "host": self.postgres.place().address(), "port": self.postgres.port(), "name": self.database[0],
                    "sslMode": "disable", "credentialsSecretRef": {"name": "database"},
                },
                "storage": {"s3": {
                    "bucket": Garage::BUCKET, "endpoint": self.garage.endpoint(), "prefix": "php",
                    "credentialsSecretRef": {"name": "bucket"},
                }},
                "cache": {"redis": {"secretRef": {"name": "redis"}}},
            }),
        )
    }
}
