//! The kind `AccessToken`: who may read which packages, until when.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::{
    common::{BrokerRef, immutable_rule, short_name_rule},
    status::AccessTokenStatus,
    text::{AnnotationValue, DurationString, LabelValue, ObjectName, PackagePattern, SecretKey},
};

/// A token that Composer clients present to read packages.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "package.broker",
    version = "v1alpha1",
    kind = "AccessToken",
    plural = "accesstokens",
    shortname = "pbtoken",
    category = "package-broker",
    namespaced,
    derive = "PartialEq",
    status = "AccessTokenStatus",
    doc = "A token that Composer clients present to a PackageBroker to read packages.",
    selectable = ".spec.brokerRef.name",
    validation = short_name_rule(),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Status", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Permission", type_ = "string", json_path = ".spec.permission"),
    printcolumn(name = "Broker", type_ = "string", json_path = ".spec.brokerRef.name"),
    printcolumn(name = "Secret", type_ = "string", json_path = ".status.secretName"),
    printcolumn(name = "Expires", type_ = "string", json_path = ".status.expiresAt"),
    printcolumn(name = "Fingerprint", type_ = "string", json_path = ".status.fingerprint", priority = 1),
    printcolumn(name = "Rotates", type_ = "string", json_path = ".status.nextRotationTime", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].message", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[x_kube(validation = Rule::new("!has(self.secret) || !has(self.existingSecretRef)")
    .message("the token is in a Secret of your own, so none is made; remove this, or existingSecretRef")
    .field_path(".secret"))]
#[x_kube(validation = Rule::new("(has(self.secret) && has(self.secret.name) ? self.secret.name : '') == (has(oldSelf.secret) && has(oldSelf.secret.name) ? oldSelf.secret.name : '')")
    .message("the Secret cannot change its name: who uses it would lose the token; make another AccessToken")
    .field_path(".secret"))]
#[x_kube(validation = Rule::new("!has(self.ttl) || !has(self.expiresAt)")
    .message("the token has an end already, in expiresAt; keep one of the two")
    .field_path(".ttl"))]
#[x_kube(validation = Rule::new("!has(self.ttl) || !has(self.existingSecretRef)")
    .message("nobody knows since when there is a token of your own; write expiresAt instead")
    .field_path(".ttl"))]
#[x_kube(validation = Rule::new("!has(self.ttl) || !has(self.rotation)")
    .message("each token lives for interval and overlap of rotation; remove this, or write expiresAt for the end of all of them")
    .field_path(".ttl"))]
#[x_kube(validation = Rule::new("!has(self.rotation) || !has(self.existingSecretRef)")
    .message("only tokens that are made here are rotated; remove this, or existingSecretRef")
    .field_path(".rotation"))]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenSpec {
    /// The PackageBroker that accepts this token. Cannot change.
    #[x_kube(validation = immutable_rule())]
    pub broker_ref: BrokerRef,

    /// What the bearer may do: `read` packages. Default: `read`.
    #[serde(default)]
    pub permission: Permission,

    /// Which packages the bearer sees. With both lists, a package must be in one of the
    /// repositories and match one of the patterns. Default: all packages.
    #[serde(default, skip_serializing_if = "TokenScopes::is_all")]
    pub scopes: TokenScopes,

    /// When the token stops working, in RFC 3339. Example: `2027-01-31T00:00:00Z`.
    /// Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// How long the token works from when it was made, at least `1m`. Not with `expiresAt`,
    /// `rotation` or `existingSecretRef`. Example: `720h`. Default: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self) >= duration('1m')")
        .message("shorter than 1m; write 1m or more, for instance 720h"))]
    pub ttl: Option<DurationString>,

    /// When the token is replaced by a new one. Not with `existingSecretRef`. Default: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<TokenRotation>,

    /// How many requests the bearer may make. Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,

    /// Secret with a token of your own. Default: a token is made for you.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub existing_secret_ref: Option<ExistingSecretRef>,

    /// The Secret that a token is made in. Only in a cluster; `package-broker run` writes a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<TokenSecret>,

    /// Whether the token is refused for the time being. Default: `false`.
    #[serde(default)]
    pub suspend: bool,
}

/// When a token is replaced by a new one.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new(
        "!self.interval.matches('^([0-9]{1,6}(ms|s|m|h))+$') || !self.overlap.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self.overlap) < duration(self.interval)"
    )
    .message("not shorter than interval (left out, it is 24h); write a shorter overlap, or a longer interval")
    .field_path(".overlap"))]
#[serde(rename_all = "camelCase")]
pub struct TokenRotation {
    /// How old a token becomes before a new one is made, at least `1m`. Example: `720h`.
    #[x_kube(validation = Rule::new("!self.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self) >= duration('1m')")
        .message("shorter than 1m; write 1m or more, for instance 720h"))]
    pub interval: DurationString,

    /// How long the token before it goes on being valid then, shorter than `interval`. With `0s`
    /// it stops at once. Default: `24h`.
    #[serde(default = "TokenRotation::default_overlap")]
    pub overlap: DurationString,
}

impl TokenRotation {
    fn default_overlap() -> DurationString {
        DurationString::minutes(24 * 60)
    }
}

/// A Secret that the operator makes.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenSecret {
    /// Its name. Default: that of the AccessToken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<ObjectName>,

    /// What else it has in its metadata.
    #[serde(default, skip_serializing_if = "SecretTemplate::is_empty")]
    pub template: SecretTemplate,

    /// What becomes of it when the AccessToken is deleted: with `Owner` it goes too, with
    /// `Orphan` it stays. Default: `Owner`.
    #[serde(default)]
    pub creation_policy: CreationPolicy,
}

/// Labels and annotations of a Secret that is made.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// Labels, up to 32. Example: `{"team": "php"}`. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("!('app.kubernetes.io/name' in self || 'app.kubernetes.io/instance' in self || 'app.kubernetes.io/managed-by' in self)")
        .message("the operator sets app.kubernetes.io/name, instance and managed-by itself; remove them"))]
    pub labels: BTreeMap<String, LabelValue>,

    /// Annotations, up to 32. Example: `{"reloader.stakater.com/match": "true"}`. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("!self.exists(key, key.startsWith('package.broker/'))")
        .message("the operator sets what begins with package.broker/ itself; remove it"))]
    pub annotations: BTreeMap<String, AnnotationValue>,
}

impl SecretTemplate {
    /// Whether it adds nothing.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.annotations.is_empty()
    }
}

/// What becomes of a Secret that was made when the object is deleted that it was made for.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum CreationPolicy {
    /// It goes too.
    #[default]
    Owner,
    /// It stays.
    Orphan,
}

/// What the bearer of a token may do.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// Read metadata and archives.
    #[default]
    Read,
}

/// Which packages the bearer of a token sees. Both lists empty: all.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TokenScopes {
    /// Patterns of package names. Example: `["acme/*"]`. Default: all names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub packages: Vec<PackagePattern>,

    /// Names of Repositories in the same namespace. Example: `["acme-lib"]`. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub repositories: Vec<ObjectName>,
}

impl TokenScopes {
    /// Whether the bearer sees everything.
    pub fn is_all(&self) -> bool {
        self.packages.is_empty() && self.repositories.is_empty()
    }
}

/// How many requests the bearer of a token may make.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Requests an hour, 60 to 10000000. So many may come at once; after them, they are allowed
    /// again one by one, evenly over the hour. One more is answered with 429 and a `Retry-After`
    /// of at most a minute. An update of a project with 200 packages takes 200 to 400 requests, an
    /// install with an empty cache 200. Example: `20000`.
    #[schemars(range(min = 60, max = 10_000_000))]
    pub requests_per_hour: i32,
}

/// A Secret that holds a token.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExistingSecretRef {
    /// Name of a Secret in the same namespace. Example: `ci-token`.
    pub name: ObjectName,

    /// Key in the Secret whose value is the token. Default: `token`.
    #[serde(default)]
    pub key: SecretKey,
}
