//! The kind `Repository`: one source of packages.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    common::{BrokerRef, SecretRef, immutable_rule, short_name_rule},
    package_broker::DeletionPolicy,
    status::RepositoryStatus,
    text::{CronExpression, DurationString, PackagePattern, RefPattern, urls},
};

/// A source of packages: where it is, who may read it, and what the registry takes from it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "package.broker",
    version = "v1alpha1",
    kind = "Repository",
    plural = "repositories",
    shortname = "pbrepo",
    category = "package-broker",
    namespaced,
    derive = "PartialEq",
    status = "RepositoryStatus",
    doc = "A source of packages for a PackageBroker: a Composer repository, a git repository, on GitHub, GitLab, Bitbucket or elsewhere, or a folder or bucket of archives.",
    selectable = ".spec.brokerRef.name",
    selectable = ".spec.type",
    validation = short_name_rule(),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Type", type_ = "string", json_path = ".spec.type"),
    printcolumn(name = "URL", type_ = "string", json_path = ".spec.url"),
    printcolumn(name = "Packages", type_ = "integer", json_path = ".status.packages"),
    printcolumn(name = "Last Sync", type_ = "date", json_path = ".status.lastSyncTime"),
    printcolumn(name = "Broker", type_ = "string", json_path = ".spec.brokerRef.name", priority = 1),
    printcolumn(name = "Priority", type_ = "integer", json_path = ".spec.priority", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(
    validation = Rule::new("self.type != 'composer' || self.url.matches('^https?://[^/?#]+(/[^?#]*)?$')")
        .message("not the URL of a Composer repository; write https://host[/path] without query and fragment")
        .field_path(".url"),
    validation = urls::git_rule("self.type != 'git'", "self.url").field_path(".url"),
    validation = urls::hosted_rule("!(self.type in ['github', 'gitlab', 'bitbucket'])", "self.url").field_path(".url"),
    validation = urls::host_rule("self.url").field_path(".url"),
    validation = urls::path_rule("self.url").field_path(".url"),
    validation = Rule::new("self.type != 'artifact' || self.url.matches('^(file:///[^?#[:cntrl:]]+|[^:[:cntrl:]]+|s3://[A-Za-z0-9][A-Za-z0-9._-]{2,254}(/[^?#[:cntrl:]]*)?)$')")
        .message("not a folder or bucket; write a path, a file:///path URL or s3://bucket/prefix")
        .field_path(".url"),
    validation = Rule::new("self.type != 'artifact' || !self.url.matches('^s3://[^/]+(/.*)?/(/|[.][.]?(/|$))')")
        .message("the prefix has an empty part, . or ..; write it as keys begin, for instance s3://bucket/team/php")
        .field_path(".url"),
    validation = Rule::new("!self.url.matches('^[a-zA-Z][a-zA-Z0-9+.-]*://[^/?#]*@') || self.url.matches('^ssh://[^/?#:@]+@[^/?#@]*/')")
        .message("credentials do not belong in the URL; put them in a Secret and name it in spec.credentialsSecretRef")
        .field_path(".url"),
    validation = Rule::new("self.type in ['git', 'github', 'gitlab', 'bitbucket'] || !has(self.git)")
        .message("only a git repository has this; remove it, or set spec.type to git, github, gitlab or bitbucket")
        .field_path(".git"),
    validation = Rule::new("!has(self.bucket) || (self.type == 'artifact' && self.url.startsWith('s3://'))")
        .message("only a bucket has this; remove it, or write spec.url as s3://bucket/prefix")
        .field_path(".bucket"),
    validation = Rule::new("self.type == 'composer' || !has(self.sync.mode)")
        .message("only a source of type composer has a mode, the others are always read whole; remove it")
        .field_path(".sync.mode"),
    validation = Rule::new("!has(self.credentialsSecretRef) || (self.type == 'artifact' ? self.url.startsWith('s3://') : !self.url.startsWith('file:'))")
        .message("a local folder takes no credentials; remove it")
        .field_path(".credentialsSecretRef")
)]
#[serde(rename_all = "camelCase")]
pub struct RepositorySpec {
    /// The PackageBroker that serves these packages. Cannot change.
    #[x_kube(validation = immutable_rule())]
    pub broker_ref: BrokerRef,

    /// What kind of source it is: `composer`, `git`, `github`, `gitlab`, `bitbucket` or `artifact`. Cannot change.
    #[serde(rename = "type")]
    #[x_kube(validation = immutable_rule())]
    pub type_: RepositoryType,

    /// Where the source is. `composer`: `https://repo.example.com`. `git`:
    /// `https://git.example.com/acme/lib.git`, `ssh://git@host/path`, `git@host:acme/lib.git` or
    /// `file:///srv/git/lib.git`. `github`, `gitlab` and `bitbucket`: the page of the repository,
    /// `https://github.com/acme/lib`, on a host of your own too, or what `git` takes over ssh.
    /// `artifact`: a folder, `/srv/artifacts` or
    /// `file:///srv/artifacts`, where a relative path starts at the working directory of the
    /// broker; or what a bucket has under a prefix, `s3://bucket/prefix`, taken as a folder.
    /// Credentials do not belong here: use `credentialsSecretRef`.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,

    /// Which source owns a package name that several have: the one with the highest priority, and
    /// among equals the first by name. -1000000 to 1000000. Default: `0`.
    #[serde(default)]
    #[schemars(range(min = -1_000_000, max = 1_000_000))]
    pub priority: i32,

    /// Which packages of the source are served. Default: all.
    #[serde(default, skip_serializing_if = "PackageFilter::is_all")]
    pub packages: PackageFilter,

    /// Which versions of these packages are served. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<VersionFilter>,

    /// Secret with the credentials to read the source. Keys: `username` and `password` (Basic),
    /// or `token` (Bearer; for `github`, `gitlab` and `bitbucket` as these hosts take tokens for git,
    /// that is as a password), or `header` (header lines `Name: value`, one a line); with any of them
    /// `tls.crt` and `tls.key` (client certificate) and `ca.crt` (certificate authority to trust),
    /// PEM. For git over ssh: `ssh-privatekey` and `known_hosts`, as OpenSSH writes them. For a
    /// bucket: `accessKeyId`, `secretAccessKey` and, for temporary keys, `sessionToken`, with the
    /// TLS keys where needed; requests to a bucket without a Secret are anonymous. They are sent
    /// to the host in `url` and to no other; a secret access key only signs and is never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretRef>,

    /// When the source is read.
    #[serde(default)]
    pub sync: RepositorySync,

    /// Options of a git repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<GitOptions>,

    /// Has the source synced when its host calls, besides the times in `sync`. Default: no call is
    /// taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Webhook>,

    /// Where the bucket of a URL `s3://bucket/prefix` is. Default: in AWS, region `us-east-1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bucket: Option<BucketOptions>,

    /// Whether the source is not synced for the time being. What was read of it before goes on
    /// being served, its archives too. Default: `false`.
    #[serde(default)]
    pub suspend: bool,

    /// What becomes of the packages when the Repository is deleted: `Delete`, or `Retain`, which has
    /// them served as they are, without any sync, until a Repository of the same name comes and
    /// goes with `Delete`. Default: `Delete`.
    #[serde(default = "RepositorySpec::default_deletion_policy")]
    pub deletion_policy: DeletionPolicy,
}

impl RepositorySpec {
    fn default_deletion_policy() -> DeletionPolicy {
        DeletionPolicy::Delete
    }
}

/// The kinds of sources.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryType {
    /// A Composer repository over http(s).
    Composer,
    /// A git repository with one package; its tags and branches are the versions.
    Git,
    /// A git repository on GitHub or GitHub Enterprise Server.
    GitHub,
    /// A git repository on a GitLab.
    GitLab,
    /// A git repository on Bitbucket Cloud.
    Bitbucket,
    /// A folder or bucket of zip and tar files with a `composer.json` each.
    Artifact,
}

impl RepositoryType {
    /// The type as it is written in a manifest.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Composer => "composer",
            Self::Git => "git",
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Artifact => "artifact",
        }
    }
}

/// Which packages of a source are served.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageFilter {
    /// Patterns of the names to serve. Example: `["acme/*"]`. Default: all names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub include: Vec<PackagePattern>,

    /// Patterns of the names to leave out, also where `include` has them.
    /// Example: `["acme/internal-*"]`. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub exclude: Vec<PackagePattern>,
}

impl PackageFilter {
    /// Whether nothing is filtered.
    pub fn is_all(&self) -> bool {
        self.include.is_empty() && self.exclude.is_empty()
    }
}

/// Which versions of each package are served.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VersionFilter {
    /// The least stable versions that are served, in the words of Composer's `minimum-stability`: `stable`, `RC`,
    /// `beta`, `alpha` or `dev`, which is all. Default: `dev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stability: Option<Stability>,

    /// So many of the newest versions of each package are served, by Composer's order, of those that are
    /// stable enough; branches are served besides, and do not count. 1 to 10000. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10_000))]
    pub retain: Option<i32>,
}

/// How stable a version is, in Composer's words.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stability {
    /// Branches, and all others.
    #[serde(rename = "dev")]
    Dev,
    /// Alpha releases, and what is more stable.
    #[serde(rename = "alpha")]
    Alpha,
    /// Beta releases, and what is more stable.
    #[serde(rename = "beta")]
    Beta,
    /// Release candidates, and stable releases.
    RC,
    /// Stable releases.
    #[serde(rename = "stable")]
    Stable,
}

/// When a source is read.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("!has(self.interval) || !has(self.schedule)")
    .message("a schedule says when, so that interval would have no effect; remove one of the two")
    .field_path(".interval"))]
#[serde(rename_all = "camelCase")]
pub struct RepositorySync {
    /// How much of the source is read ahead. Only for type `composer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<SyncMode>,

    /// Time between two reads, at least `10s`. Default: `1h`, unless there is a `schedule`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self) >= duration('10s')")
        .message("shorter than 10s; write 10s or more"))]
    pub interval: Option<DurationString>,

    /// The times at which the source is read, as a cron expression in UTC: minute (0-59), hour
    /// (0-23), day of the month (1-31), month (1-12 or `jan`-`dec`) and weekday (0-7 or
    /// `sun`-`sat`; 0 and 7 are Sunday), each `*`, a number, a range `1-5`, a step `*/15`, or a list
    /// of these with commas; or `@hourly`, `@daily`, `@weekly`, `@monthly` or `@yearly`. A read
    /// begins up to a minute later, each Repository's by a time of its own. In place of `interval`.
    /// Example: `30 3 * * 1-5`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<CronExpression>,

    /// Longest time that one read may take, at least `1s`. Default: `10m`.
    #[serde(default = "RepositorySync::default_timeout")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self) >= duration('1s')")
        .message("shorter than 1s; write 1s or more"))]
    pub timeout: DurationString,
}

impl RepositorySync {
    fn default_timeout() -> DurationString {
        DurationString::minutes(10)
    }
}

impl Default for RepositorySync {
    fn default() -> Self {
        Self {
            mode: None,
            interval: None,
            schedule: None,
            timeout: Self::default_timeout(),
        }
    }
}

/// `eager` reads all packages ahead, `lazy` each one on the first request for it. Only for type
/// `composer`. Default: `eager` where the source publishes a list of names, else `lazy`.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncMode {
    /// All packages, ahead of any request.
    Eager,
    /// Each package on the first request for it.
    Lazy,
}

/// Calls from the host of a source, when something was pushed there.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Webhook {
    /// Secret that calls are proven with: the same text in its key `secret` and at the host, where it
    /// is called secret or secret token; at least 16 bytes long. `status.webhookPath` says where the
    /// host calls.
    pub secret_ref: SecretRef,
}

/// Options of a git repository.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GitOptions {
    /// Subfolder that holds the package, relative to the root of the repository.
    /// Example: `packages/lib`. Default: the root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    #[x_kube(validation = Rule::new("self.matches('^[^/]+(/[^/]+)*/?$') && !self.matches('(^|/)[.][.]?(/|$)')")
        .message("not a folder within the repository; write a relative path without . and .., for instance packages/lib"))]
    pub path: Option<String>,

    /// Patterns of the tags and branches that become versions, as full names; `*` stands for any
    /// characters. Others are not fetched, but for the default branch, which names the package.
    /// Example: `["refs/tags/v*", "refs/heads/main"]`. Default: all tags and branches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub refs: Vec<RefPattern>,
}

/// Where a bucket is, and how it is asked for.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BucketOptions {
    /// URL of the service. Example: `https://minio.example.com:9000`.
    /// Default: that of AWS in `region`, `https://s3.REGION.amazonaws.com`.
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
    #[serde(default = "BucketOptions::default_region")]
    #[schemars(length(max = 63))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9-]+$')")
        .message("not a region; write its name, for instance eu-central-1"))]
    pub region: String,

    /// Whether requests name the bucket in the path, `https://ENDPOINT/BUCKET/…`, and not in the
    /// host, `https://BUCKET.ENDPOINT/…`. Default: `true` where `endpoint` is set or the bucket's
    /// name has a dot, else `false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
}

impl BucketOptions {
    fn default_region() -> String {
        "us-east-1".to_owned()
    }
}
