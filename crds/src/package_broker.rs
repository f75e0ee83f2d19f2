//! The kind `PackageBroker`: one installation, and what all of its sources and clients share.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

mod exposure;
mod image;
mod limits;
mod pod_template;
mod surroundings;

use k8s_openapi::api::core::v1::ResourceRequirements;
use kube::{CustomResource, KubeSchema, core::Rule};
use serde::{Deserialize, Serialize};

pub use self::{
    exposure::{Expose, GatewayExposure, IngressExposure, ParentRef},
    image::{Image, PullPolicy},
    limits::{Audit, Limits},
    pod_template::PodTemplate,
    surroundings::{Autoscaling, Monitoring, NetworkAccess},
};
use crate::{
    common::{SecretRef, short_name_rule},
    namespaces::AllowedNamespaces,
    servers::{Database, SharedCache, Storage},
    status::PackageBrokerStatus,
    text::{Cidr, ObjectName, PackagePattern, Quantity, urls},
};

/// A private Composer registry: where clients reach it, what it may fetch, and how much it may use.
/// An empty `spec` is a working registry with the defaults below.
#[derive(CustomResource, KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "package.broker",
    version = "v1alpha1",
    kind = "PackageBroker",
    plural = "packagebrokers",
    shortname = "pb",
    category = "package-broker",
    namespaced,
    derive = "PartialEq",
    status = "PackageBrokerStatus",
    doc = "A private Composer registry: one URL that serves the packages of all its Repositories.",
    validation = short_name_rule(),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name is also that of a Service; use lower case letters, digits and -, beginning with a letter"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "URL", type_ = "string", json_path = ".status.url"),
    scale = r#"{"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas", "labelSelectorPath": ".status.selector"}"#,
    printcolumn(name = "Replicas", type_ = "integer", json_path = ".status.readyReplicas"),
    printcolumn(name = "Repositories", type_ = "integer", json_path = ".status.repositories"),
    printcolumn(name = "Tokens", type_ = "integer", json_path = ".status.accessTokens", priority = 1),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version"),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new(
        "!self.packagist.url.startsWith('http:') || self.egress.allowHttp"
    )
    .message("plain http is refused; use https, or set spec.egress.allowHttp to true")
    .field_path(".packagist.url"))]
#[x_kube(
    validation = Rule::new("!has(self.database) || has(self.storage)")
        .message("with a database, archives need a bucket; write storage.s3, or remove database")
        .field_path(".database"),
    validation = Rule::new("has(self.database) || !has(self.storage)")
        .message("a bucket needs a database beside it; write database, or remove storage")
        .field_path(".storage"),
    validation = Rule::new("!has(self.storage) || has(self.storage.s3.credentialsSecretRef) || (has(self.podTemplate) && has(self.podTemplate.serviceAccountName))")
        .message("the bucket needs a key or a role; write credentialsSecretRef, or name in spec.podTemplate.serviceAccountName the service account that has the role")
        .field_path(".storage"),
    validation = Rule::new("has(self.database) || !has(self.cache)")
        .message("without a database there is one pod, which shares nothing; write database and storage, or remove cache")
        .field_path(".cache"),
    validation = Rule::new("has(self.database) || !has(self.replicas) || self.replicas <= 1")
        .message("without a database there is one pod, with its state on a volume; write database and storage, or remove replicas")
        .field_path(".replicas"),
    validation = Rule::new("has(self.database) || !has(self.sync.jobTemplate)")
        .message("without a database there are no Jobs, the one pod syncs by itself; write database and storage, or remove jobTemplate")
        .field_path(".sync.jobTemplate"),
    validation = Rule::new("has(self.database) == has(oldSelf.database)")
        .message("state does not move between a volume and a database; make another PackageBroker")
        .field_path(".database"),
    validation = Rule::new("!has(self.database) || !has(self.volume) || (quantity(self.volume.size).compareTo(quantity('10Gi')) == 0 && !has(self.volume.storageClassName))")
        .message("with a database there is no volume; remove it")
        .field_path(".volume"),
    validation = exposure::needs_url_rule(),
    validation = exposure::routable_url_rule(),
    validation = exposure::ingress_host_rule(),
    validation = exposure::gateway_hostnames_rule(),
    validation = surroundings::scalable_state_rule(),
    validation = surroundings::one_count_rule(),
    validation = surroundings::scalable_resources_rule()
)]
#[serde(rename_all = "camelCase")]
pub struct PackageBrokerSpec {
    /// Public URL that clients use, http or https, with an optional path. All URLs in the metadata
    /// start with it. Example: `https://packages.example.com/composer`. Without it,
    /// `package-broker run` uses the address it listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^https?://[^/@?#]+(/[^?#]*)?$')")
            .message("not a public URL; write http(s)://host[:port][/path] without user, query and fragment"),
        validation = urls::host_rule("self"),
        validation = urls::path_rule("self")
    )]
    pub external_url: Option<String>,

    /// Networks of the reverse proxies in front of the broker, in CIDR notation. A request from one
    /// of them counts for the address that the last untrusted entry of its X-Forwarded-For header
    /// names; from everybody else the header is ignored. Used to limit requests and to slow down
    /// guessing of tokens by address, and in logs. Example: `["10.0.0.0/8"]`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub trusted_proxies: Vec<Cidr>,

    /// Patterns of package names that are private: names that match are never asked of the mirror
    /// in `packagist`, and answer with an empty list when no Repository has them.
    /// Example: `["acme/*"]`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub owned_names: Vec<PackagePattern>,

    /// Mirror of a public Composer repository, for names that no Repository has. Off by default.
    #[serde(default)]
    pub packagist: Packagist,

    /// From which other namespaces Repositories and AccessTokens may belong to this registry.
    /// Default: none.
    #[serde(default)]
    pub allowed_namespaces: AllowedNamespaces,

    /// What the registry may fetch. Loopback, link-local, metadata and similar addresses, plain
    /// http and local files are refused unless allowed here.
    #[serde(default)]
    pub egress: Egress,

    /// How hard the registry works on its sources.
    #[serde(default)]
    pub sync: SyncLimits,

    /// How clients get archives.
    #[serde(default)]
    pub archives: Archives,

    /// How much the registry takes in, keeps in memory and answers.
    #[serde(default)]
    pub limits: Limits,

    /// The log of who read and changed what.
    #[serde(default)]
    pub audit: Audit,

    /// Who may read the state of the registry and its audit log over HTTP, below `/api`. Default: in
    /// a cluster the user `admin`, with a password that the operator makes and keeps in the Secret
    /// NAME-admin; elsewhere nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<Administrator>,

    /// The PostgreSQL database that holds all state but archives, so that several pods can serve.
    /// Only in a cluster. Default: state and archives on a volume of one pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<Database>,

    /// Where archives are kept beside a database. Only in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,

    /// Where replicas keep counters. Only in a cluster. Default: in the database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache: Option<SharedCache>,

    /// How many pods serve. 0 to 100. Only in a cluster. Default: `2` with a database, else `1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub replicas: Option<i32>,

    /// The volume that holds the registry's state and archives where there is no database. Only in
    /// a cluster.
    #[serde(default)]
    pub volume: Volume,

    /// The image that the registry's pod runs. Only in a cluster. Default: the one that came with
    /// the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Image>,

    /// What the registry's container asks for and may use. Only in a cluster. Default: 100
    /// thousandths of a core and 128Mi of memory, without limits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,

    /// What becomes of the volume, or of the keys that credentials in the database are encrypted
    /// with, when the PackageBroker is deleted. Nothing in a database or bucket is ever deleted.
    /// Only in a cluster. Default: `Retain`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,

    /// Whether the operator leaves everything as it is. Only in a cluster. Default: `false`.
    #[serde(default)]
    pub suspend: bool,

    /// How clients outside of the cluster reach the registry. Needs `externalUrl`. Only in a
    /// cluster. Default: somebody else sees to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,

    /// How many pods serve, by how much they have to do. Needs `database`, and stands in place of
    /// `replicas`. Only in a cluster. Default: as many as the rest of the spec says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<Autoscaling>,

    /// Who may connect to the pods. Only in a cluster.
    #[serde(default)]
    pub network_policy: NetworkAccess,

    /// Who watches the pods. Only in a cluster.
    #[serde(default)]
    pub monitoring: Monitoring,

    /// What pods have besides what the operator gives them; those of Jobs too, but for their places
    /// among other pods. Only in a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_template: Option<PodTemplate>,
}

impl PackageBrokerSpec {
    /// What is set here that has a meaning in a cluster only.
    pub fn only_in_cluster(&self) -> Vec<&'static str> {
        let default = Self::default();
        [
            ("spec.database", self.database.is_some()),
            ("spec.storage", self.storage.is_some()),
            ("spec.cache", self.cache.is_some()),
            ("spec.replicas", self.replicas.is_some()),
            ("spec.volume", self.volume != default.volume),
            ("spec.image", self.image.is_some()),
            ("spec.resources", self.resources.is_some()),
            ("spec.sync.jobTemplate", self.sync.job_template.is_some()),
            (
                "spec.deletionPolicy",
                self.deletion_policy != default.deletion_policy,
            ),
            ("spec.suspend", self.suspend),
            ("spec.expose", self.expose.is_some()),
            ("spec.autoscaling", self.autoscaling.is_some()),
            (
                "spec.networkPolicy",
                self.network_policy != default.network_policy,
            ),
            ("spec.monitoring", self.monitoring != default.monitoring),
            ("spec.podTemplate", self.pod_template.is_some()),
        ]
        .into_iter()
        .filter_map(|(field, is_set)| is_set.then_some(field))
        .collect()
    }
}

/// The first user of a registry.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Administrator {
    /// Secret with the keys `username` (1 to 64 letters, digits, `.`, `_` and `-`) and `password` (12
    /// to 256 bytes), for instance of the type `kubernetes.io/basic-auth`. Another password in it
    /// comes into force at once.
    pub secret_ref: SecretRef,
}

/// A volume of one pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new(
        "has(self.storageClassName) == has(oldSelf.storageClassName) && (!has(self.storageClassName) || self.storageClassName == oldSelf.storageClassName)"
    )
    .message("a volume cannot change its class; make another PackageBroker, or move the data yourself")
    .field_path(".storageClassName"))]
#[serde(rename_all = "camelCase")]
pub struct Volume {
    /// How large it is. It can grow, if its class allows that. Default: `10Gi`.
    #[serde(default = "Volume::default_size")]
    pub size: Quantity,

    /// The StorageClass that makes it. Cannot change. Default: the cluster's default class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_class_name: Option<ObjectName>,
}

impl Volume {
    fn default_size() -> Quantity {
        Quantity::mebibytes(10 << 10)
    }
}

impl Default for Volume {
    fn default() -> Self {
        Self {
            size: Self::default_size(),
            storage_class_name: None,
        }
    }
}

/// What becomes of data when the object is deleted that it belongs to.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum DeletionPolicy {
    /// It stays.
    #[default]
    Retain,
    /// It goes too.
    Delete,
}

/// The repository that `packagist` mirrors when it does not say which.
const PACKAGIST: &str = "https://repo.packagist.org";

/// What a mirror that is off was told to do would be ignored, and no field is.
fn unused_mirror_rule() -> Rule {
    Rule::new(format!(
        "self.enabled || (self.url == '{PACKAGIST}' && self.mode == 'lazy')"
    ))
    .message(
        "the mirror is off, so url and mode have no effect; set spec.packagist.enabled to true, or remove them",
    )
    .field_path(".enabled")
}

/// Mirror of a public Composer repository.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = unused_mirror_rule())]
#[serde(rename_all = "camelCase")]
pub struct Packagist {
    /// Whether names that no Repository has are looked up in the mirror. Default: `false`.
    #[serde(default)]
    pub enabled: bool,

    /// URL of the repository to mirror. Default: `https://repo.packagist.org`.
    #[serde(default = "Packagist::default_url")]
    #[schemars(length(max = 2048))]
    #[x_kube(
        validation = Rule::new("self.matches('^https?://[^/@?#]+(/[^?#]*)?$')")
            .message("not the URL of a Composer repository; write https://host[/path] without user, query and fragment"),
        validation = urls::host_rule("self"),
        validation = urls::path_rule("self")
    )]
    pub url: String,

    /// When packages are read from the mirror: `lazy`, on the first request for a name, then kept
    /// fresh. Default: `lazy`.
    #[serde(default)]
    pub mode: PackagistMode,
}

impl Packagist {
    fn default_url() -> String {
        PACKAGIST.to_owned()
    }
}

impl Default for Packagist {
    fn default() -> Self {
        Self {
            enabled: false,
            url: Self::default_url(),
            mode: PackagistMode::default(),
        }
    }
}

/// When packages are read from the mirror.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum PackagistMode {
    /// On the first request for a name.
    #[default]
    Lazy,
}

/// What the registry may fetch.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Networks that may be fetched from although they are loopback, link-local, metadata or
    /// similar addresses, in CIDR notation. Example: `["127.0.0.0/8", "fd00:ec2::/64"]`.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub allowed_networks: Vec<Cidr>,

    /// Whether sources may be read over plain http, where anyone on the way can read credentials
    /// and change packages. Default: `false`.
    #[serde(default)]
    pub allow_http: bool,

    /// Whether sources may be local: `file://` URLs of git repositories and folders of artifacts.
    /// Default: `false`.
    #[serde(default)]
    pub allow_file_urls: bool,
}

/// How hard the registry works on its sources.
#[derive(KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncLimits {
    /// Repositories that are synced at the same time. 1 to 64. Default: `4`.
    #[serde(default = "SyncLimits::default_max_concurrent")]
    #[schemars(range(min = 1, max = 64))]
    pub max_concurrent: i32,

    /// Packages whose documents are read at the same time, for each Repository. 1 to 64.
    /// Default: `4`.
    #[serde(default = "SyncLimits::default_packages_per_repository")]
    #[schemars(range(min = 1, max = 64))]
    pub packages_per_repository: i32,

    /// Requests at the same time to one host, over all Repositories. 1 to 64. Default: `8`.
    #[serde(default = "SyncLimits::default_per_host")]
    #[schemars(range(min = 1, max = 64))]
    pub per_host: i32,

    /// What Jobs that sync have in place of what pods of the registry have. Only with `spec.database`:
    /// without it there are none. Default: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_template: Option<SyncJobTemplate>,
}

/// What Jobs that sync have of their own.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SyncJobTemplate {
    /// What the container of a Job that syncs asks for and may use. Default: what is in
    /// `spec.resources`, or its default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourceRequirements>,
}

impl SyncLimits {
    fn default_max_concurrent() -> i32 {
        4
    }

    fn default_packages_per_repository() -> i32 {
        4
    }

    fn default_per_host() -> i32 {
        8
    }
}

impl Default for SyncLimits {
    fn default() -> Self {
        Self {
            max_concurrent: Self::default_max_concurrent(),
            packages_per_repository: Self::default_packages_per_repository(),
            per_host: Self::default_per_host(),
            job_template: None,
        }
    }
}

/// How clients get archives.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Archives {
    /// Whether a client that asks for an archive is redirected to the S3 bucket that holds it, by a
    /// signed link that is good for a minute at most, instead of getting it through the broker.
    /// Clients must be able to reach the bucket's endpoint under the name that the broker uses. Only
    /// where archives are kept in a bucket. Default: `false`.
    #[serde(default)]
    pub redirect: bool,
}
