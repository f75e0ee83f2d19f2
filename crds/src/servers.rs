//! Where a `PackageBroker` of several replicas keeps its state: a database, a bucket, and perhaps Redis.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::{
    common::SecretRef,
    text::{ObjectName, SecretKey, urls},
};

/// The PostgreSQL database that holds everything but archives: either a URL in a Secret, or host
/// and name.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("has(self.secretRef) != has(self.host)")
        .message("name the Secret that holds the URL in secretRef, or write host, name and credentialsSecretRef; one of the two"),
    validation = Rule::new("!has(self.secretRef) || has(self.host) || (!has(self.port) && !has(self.name) && !has(self.sslMode) && !has(self.credentialsSecretRef))")
        .message("the URL in the Secret says all of it; remove port, name, sslMode and credentialsSecretRef, or secretRef"),
    validation = Rule::new("!has(self.host) || (has(self.name) && has(self.credentialsSecretRef))")
        .message("host alone is not enough; write name and credentialsSecretRef too"),
    validation = Rule::new("!has(oldSelf.name) || (has(self.name) && self.name == oldSelf.name)")
        .message("the database cannot become another one: its state would stay behind; make another PackageBroker")
        .field_path(".name")
)]
#[serde(rename_all = "camelCase")]
pub struct Database {
    /// Secret with the URL, `postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full`, with
    /// the parameters of libpq.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<UrlSecretRef>,

    /// Host of the server. Example: `postgres.databases.svc`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]+$')")
        .message("not a host; write a name or an address"))]
    pub host: Option<String>,

    /// Port of the server. Default: `5432`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,

    /// Name of the database, which has to be there. Cannot change. Example: `packages`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9_-]*$')")
        .message("not a name that needs no quotes; use letters, digits, _ and -"))]
    pub name: Option<String>,

    /// Whether the connection is encrypted, and the server's certificate checked: `disable`,
    /// `require`, `verify-ca` or `verify-full`. Default: `verify-full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssl_mode: Option<SslMode>,

    /// Secret with the keys `username` and `password`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,

    /// Secret with the certificates (PEM) of the authorities that may have signed the server's.
    /// Default: those that are trusted on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// Connections of each pod, at most. 2 to 1000. Default: `10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 2, max = 1000))]
    pub max_connections: Option<i32>,
}

/// Whether a connection to PostgreSQL is encrypted, and what is checked of the server.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SslMode {
    /// Not encrypted.
    Disable,
    /// Encrypted, with whatever server answers.
    Require,
    /// With a server whose certificate is signed by an authority that is trusted.
    VerifyCa,
    /// And is for that host.
    VerifyFull,
}

impl SslMode {
    /// As libpq writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// Where archives are.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// A bucket of an S3 service.
    pub s3: S3,
}

/// A bucket of an S3 service.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("self.bucket == oldSelf.bucket")
        .message("the bucket cannot become another one: its archives would stay behind; make another PackageBroker")
        .field_path(".bucket"),
    validation = Rule::new("(has(self.prefix) ? self.prefix : '') == (has(oldSelf.prefix) ? oldSelf.prefix : '')")
        .message("the prefix cannot become another one: the archives below it would stay behind; make another PackageBroker")
        .field_path(".prefix")
)]
#[serde(rename_all = "camelCase")]
pub struct S3 {
    /// Name of the bucket, which has to be there. Cannot change. Example: `packages`.
    #[schemars(length(min = 3, max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9][A-Za-z0-9._-]*$')")
        .message("not a bucket; write its name, for instance packages"))]
    pub bucket: String,

    /// URL of the service. Example: `https://minio.example.com:9000`.
    /// Default: that of AWS in `region`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^https?://[^/@?#]+(/[^?#]*)?$')")
            .message("not the URL of an S3 service; write https://host[:port] without user, query and fragment"),
        validation = urls::host_rule("self"),
        validation = urls::path_rule("self")
    )]
    pub endpoint: Option<String>,

    /// Region of the bucket. Services that have none take any. Default: `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')")
        .message("not a region; write its name, for instance eu-central-1"))]
    pub region: Option<String>,

    /// Whether requests name the bucket in the path and not in the host.
    /// Default: `true` where `endpoint` is set, else `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,

    /// Folder in the bucket that everything is kept in. Cannot change. Example: `team/php`.
    /// Default: the bucket itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*/?$') && !self.matches('(^|/)[.][.]?(/|$)')")
        .message("not a folder in a bucket; use letters, digits, ., _ and - between slashes, for instance team/php"))]
    pub prefix: Option<String>,

    /// Secret with the keys `accessKeyId` and `secretAccessKey` and, for temporary keys,
    /// `sessionToken`. Default: the role that the cluster gives to the pods' service account (web
    /// identity).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,

    /// Secret with certificates (PEM) that are trusted besides those of the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,
}

/// Where counters are kept that all replicas share, and how they hear of changes at once.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SharedCache {
    /// A Redis server.
    pub redis: RedisServer,
}

/// A Redis server.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RedisServer {
    /// Secret with the URL: `redis://`, `rediss://`, `redis+sentinel://` or `redis+cluster://`.
    pub secret_ref: UrlSecretRef,

    /// Secret with the certificates (PEM) of the authorities that may have signed the server's.
    /// Default: those that are trusted on the web.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<CaSecretRef>,

    /// What keys and channels start with. Installations that share a server need one each.
    /// Default: namespace and name of the PackageBroker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9._:/-]+$')")
        .message("not a prefix; use letters, digits, ., _, :, / and -"))]
    pub prefix: Option<String>,
}

/// A Secret that holds a URL.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlSecretRef {
    /// Name of a Secret in the same namespace. Example: `packages-database`.
    pub name: ObjectName,

    /// Key in the Secret whose value is the URL. Default: `url`.
    #[serde(default = "UrlSecretRef::default_key")]
    pub key: SecretKey,
}

impl UrlSecretRef {
    fn default_key() -> SecretKey {
        SecretKey::from("url")
    }
}

/// A Secret that holds certificates.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CaSecretRef {
    /// Name of a Secret in the same namespace. Example: `internal-ca`.
    pub name: ObjectName,

    /// Key in the Secret whose value is PEM. Default: `ca.crt`.
    #[serde(default = "CaSecretRef::default_key")]
    pub key: SecretKey,
}

impl CaSecretRef {
    fn default_key() -> SecretKey {
        SecretKey::from("ca.crt")
    }
}
