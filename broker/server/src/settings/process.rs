//! What one process is told besides the installation it is part of.

use std::{net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer};

use crate::logging::LogFormat;

/// Settings of a process that shares its state with others.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Process {
    /// The address clients connect to. Port 0 takes a free one.
    #[serde(default = "Process::default_listen")]
    #[schemars(with = "String")]
    pub(crate) listen: SocketAddr,

    /// The address of /livez, /readyz and /metrics. Not for clients.
    #[serde(default = "Process::default_metrics_listen")]
    #[schemars(with = "String")]
    pub(crate) metrics_listen: SocketAddr,

    /// How long requests in flight may take after SIGTERM or SIGINT, in seconds.
    #[serde(default = "Process::default_shutdown_seconds")]
    #[schemars(range(min = 0, max = 3600))]
    pub(crate) shutdown_seconds: u64,

    /// What to log, for instance `debug` or `info,package_broker=debug`.
    #[serde(default = "Process::default_log")]
    pub(crate) log: String,

    /// How log lines look: `text` or `json`.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["text", "json"], "default" = "text"))]
    pub(crate) log_format: LogFormat,

    /// Folder of this process alone, for mirrors of git repositories and uploads that are being made. It may be lost.
    #[serde(default = "Process::default_data")]
    pub(crate) data: PathBuf,

    /// The PostgreSQL database that holds all state.
    // The default is for the schema alone: what is missed is then the URL in it.
    #[schemars(extend("default" = {}))]
    pub(crate) database: Database,

    /// Where replicas keep counters and hear of changes.
    #[serde(default)]
    pub(crate) cache: Cache,

    /// The S3 bucket that holds archives.
    #[serde(default)]
    pub(crate) storage: Storage,

    /// The keys that credentials of repositories are encrypted with.
    #[serde(default)]
    pub(crate) encryption: Encryption,

    /// Where traces of requests and syncs are sent.
    #[serde(default)]
    pub(crate) telemetry: Telemetry,
}

impl Process {
    fn default_listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 8080))
    }

    fn default_metrics_listen() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 8081))
    }

    fn default_shutdown_seconds() -> u64 {
        20
    }

    fn default_log() -> String {
        "info".to_owned()
    }

    fn default_data() -> PathBuf {
        PathBuf::from("./data")
    }
}

/// The PostgreSQL database that holds all state.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Database {
    /// Where it is: `postgres://USER@HOST:5432/DATABASE?sslmode=verify-full`, with the parameters of libpq.
    #[serde(deserialize_with = "secret")]
    #[schemars(with = "String", extend("format" = "secret-url"))]
    pub(crate) url: SecretString,

    /// The password, if it is not in the URL.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) password: Option<SecretString>,

    /// File with certificates (PEM) of the authorities that may have signed the server's; those that the URL names, or
    /// that are trusted on the web, without.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,

    /// Connections of this process, at most.
    #[serde(default = "Database::default_max_connections")]
    #[schemars(range(min = 2, max = 1000))]
    pub(crate) max_connections: u32,

    /// How long answers are given from memory while the database cannot be reached, in seconds. A token that is
    /// withdrawn meanwhile is good for so long. After it, clients get 503.
    #[serde(default = "Database::default_stale_seconds")]
    #[schemars(range(min = 1, max = 86400))]
    pub(crate) stale_seconds: u64,
}

impl Database {
    fn default_max_connections() -> u32 {
        10
    }

    fn default_stale_seconds() -> u64 {
        60
    }
}

/// Where replicas keep counters and hear of changes.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Cache {
    /// A Redis server: `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`. Without it, the database is
    /// used.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "secret-url"))]
    pub(crate) url: Option<SecretString>,

    /// The password, if it is not in the URL.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) password: Option<SecretString>,

    /// The password of the Sentinels, if they want one.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) sentinel_password: Option<SecretString>,

    /// File with certificates (PEM) of the authorities that may have signed the server's; those of the system without.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,

    /// What keys and channels start with. Installations that share a server need one each. `package-broker:` without.
    #[serde(default)]
    pub(crate) prefix: Option<String>,
}

/// The S3 bucket that holds archives.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Storage {
    /// The bucket's name. `serve` and `sync` need one.
    #[serde(default)]
    pub(crate) bucket: Option<String>,

    /// The URL of the service; that of AWS in the region without.
    #[serde(default)]
    pub(crate) endpoint: Option<String>,

    /// The bucket's region.
    #[serde(default = "Storage::default_region")]
    pub(crate) region: String,

    /// Whether the bucket is named in the path and not in the host, as most services of one's own want it.
    #[serde(default)]
    pub(crate) path_style: bool,

    /// A folder in the bucket that everything is kept in.
    #[serde(default)]
    pub(crate) prefix: String,

    /// The id of a key that stays the same.
    #[serde(default)]
    pub(crate) access_key_id: Option<String>,

    /// The key's secret half.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) secret_access_key: Option<SecretString>,

    /// Goes with a temporary key.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) session_token: Option<SecretString>,

    /// The role that a token of the cluster is exchanged for (web identity), in place of a key.
    #[serde(default)]
    pub(crate) role_arn: Option<String>,

    /// Where the cluster keeps that token.
    #[serde(default)]
    pub(crate) web_identity_token_file: Option<PathBuf>,

    /// The security token service; that of AWS in the region without.
    #[serde(default)]
    pub(crate) sts_endpoint: Option<String>,

    /// File with certificates (PEM) that are trusted besides those of the system.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,
}

impl Storage {
    fn default_region() -> String {
        "us-east-1".to_owned()
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            bucket: None,
            endpoint: None,
            region: Self::default_region(),
            path_style: false,
            prefix: String::new(),
            access_key_id: None,
            secret_access_key: None,
            session_token: None,
            role_arn: None,
            web_identity_token_file: None,
            sts_endpoint: None,
            ca_file: None,
        }
    }
}

/// The keys that credentials of repositories are encrypted with.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Encryption {
    /// A key ring as `package-broker keys generate` writes it: the first key encrypts, all of them decrypt.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) keys: Option<SecretString>,
}

/// Where traces of requests and syncs are sent.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Telemetry {
    /// The OpenTelemetry collector: the URL of its OTLP receiver for HTTP, `http://HOST:4318`, to which `/v1/traces` is
    /// added. Nothing is sent without it.
    #[serde(default)]
    pub(crate) otlp_endpoint: Option<String>,

    /// What the collector wants to be told with each delivery: `NAME=VALUE,NAME=VALUE`, percent-encoded.
    #[serde(default, deserialize_with = "optional_secret")]
    #[schemars(with = "Option<String>", extend("format" = "password"))]
    pub(crate) otlp_headers: Option<SecretString>,

    /// File with certificates (PEM) of the authorities that may have signed the collector's; those of the system without.
    #[serde(default)]
    pub(crate) ca_file: Option<PathBuf>,

    /// The share of requests and syncs that are traced, from 0 to 1. A proxy's decision on a request is kept.
    #[serde(default = "Telemetry::default_sample_ratio")]
    #[schemars(range(min = 0, max = 1))]
    pub(crate) sample_ratio: f64,
}

impl Telemetry {
    fn default_sample_ratio() -> f64 {
        0.1
    }
}

impl Default for Telemetry {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            otlp_headers: None,
            ca_file: None,
            sample_ratio: Self::default_sample_ratio(),
        }
    }
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
    String::deserialize(deserializer).map(SecretString::from)
}

fn optional_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(SecretString::from))
}
