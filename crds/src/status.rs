//! What the operator says of objects: status, and the words of its conditions.
//!
//! Conditions follow kstatus, which Flux and `kubectl wait` go by: `Ready` is always there; `Reconciling` and `Stalled`
//! only while they are True. `Stalled` is for what only a change can cure.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::KubeSchema;
use serde::{Deserialize, Serialize};

/// Syncs a Repository when its value changes, whatever the interval.
pub const SYNC_REQUESTED_AT: &str = "package.broker/sync-requested-at";
/// Has an object looked at again when its value changes; a Repository is synced too. What `flux reconcile` sets.
pub const RECONCILE_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// Has a token replaced by a new one at once when its value changes; the one before it stops at once too.
pub const ROTATE_REQUESTED_AT: &str = "package.broker/rotate-requested-at";

/// What an AccessToken without a Secret is known by: 64 hexadecimal digits. For whoever writes manifests and is not to
/// know tokens, an operator for instance.
pub const TOKEN_SHA256: &str = "package.broker/token-sha256";

/// Types of conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConditionType {
    /// The object is what its spec says.
    Ready,
    /// Work goes on.
    Reconciling,
    /// Only a change can help.
    Stalled,
    /// PackageBroker: the pods serve.
    Available,
    /// PackageBroker: the database answers, and takes what is declared.
    DatabaseReady,
    /// PackageBroker: the bucket can be used.
    StorageReady,
    /// PackageBroker: Redis can be used.
    CacheReady,
    /// PackageBroker: the database has the tables of the release that is to run.
    Migrated,
    /// Repository: how the last sync went.
    Synced,
    /// Repository: the Secret holds what the source asks for.
    CredentialsValid,
    /// AccessToken: the Secret holds the token.
    SecretReady,
    /// AccessToken: the broker takes the token.
    Registered,
    /// AccessToken: its time is over.
    Expired,
}

impl ConditionType {
    /// As it stands in a status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
            Self::Available => "Available",
            Self::DatabaseReady => "DatabaseReady",
            Self::StorageReady => "StorageReady",
            Self::CacheReady => "CacheReady",
            Self::Migrated => "Migrated",
            Self::Synced => "Synced",
            Self::CredentialsValid => "CredentialsValid",
            Self::SecretReady => "SecretReady",
            Self::Registered => "Registered",
            Self::Expired => "Expired",
        }
    }
}

/// Declares the reasons of conditions, with what they mean.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident,)+) => {
        /// Reasons of conditions: a closed list, so that scripts can go by them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Reason {
            /// All of them, each with what it means.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, concat!($($doc),+)),)+];

            /// As it stands in a status.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => stringify!($name),)+
                }
            }
        }
    };
}

reasons! {
    /// All is as the spec says.
    Succeeded,
    /// The first steps are under way.
    Progressing,
    /// Something failed and is tried again by itself.
    ProgressingWithRetry,
    /// Something that this object needs is not ready yet.
    DependencyNotReady,
    /// There is no object of the name that the spec gives.
    NotFound,
    /// There is no Secret of the name that the spec gives.
    SecretNotFound,
    /// The Secret does not hold what it should.
    InvalidSecret,
    /// The spec says what cannot be.
    InvalidSpec,
    /// The spec asks for what its PackageBroker does not allow.
    NotAllowed,
    /// Two objects have what only one may have.
    Conflict,
    /// The cluster does not have a kind that the spec needs.
    NotInstalled,
    /// The last sync failed.
    SyncFailed,
    /// The database does not answer, or not well.
    DatabaseUnavailable,
    /// The bucket cannot be used.
    StorageUnavailable,
    /// Redis cannot be used.
    CacheUnavailable,
    /// The database's tables could not be brought up to the release that is to run.
    MigrationFailed,
    /// The pods are not up.
    PodsNotReady,
    /// The pods do not take what they were given.
    NotInForce,
    /// Work rests, because the spec says so.
    Suspended,
    /// The token's time is over.
    Expired,
    /// The object is too large, with all that belongs to it.
    TooLarge,
    /// The API server or the broker did not do what it was asked.
    Failed,
}

/// The state of a PackageBroker.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PackageBrokerStatus {
    /// The generation of the spec that the rest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Available, Reconciling, Stalled; with a database also DatabaseReady, StorageReady,
    /// CacheReady and Migrated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The last value of the annotation that asks for a look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The URL that clients use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,

    /// The image that the pods run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,

    /// The release of the broker that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,

    /// Pods that should serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,

    /// Pods that serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_replicas: Option<i32>,

    /// How the pods are found, for whatever scales them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,

    /// Repositories that belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repositories: Option<i32>,

    /// AccessTokens that belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_tokens: Option<i32>,

    /// Packages of its Repositories, as their syncs have counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<i32>,

    /// The last migration of the database. Only with a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<MigrationStatus>,
}

/// A migration of a database.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MigrationStatus {
    /// The image that it was run with.
    pub image: String,

    /// When it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Time>,
}

/// The state of a Repository.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RepositoryStatus {
    /// The generation of the spec that the rest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, Synced, Reconciling, Stalled; with a Secret also CredentialsValid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The last value of the annotation that asks for a look or a sync, once that is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// When a sync last succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sync_time: Option<Time>,

    /// When the last sync that has ended began, whatever came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_attempt_time: Option<Time>,

    /// When the next sync is due. Only where syncs are Jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_sync_time: Option<Time>,

    /// Syncs in a row that failed. Only where syncs are Jobs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consecutive_failures: Option<i32>,

    /// The last sync Job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,

    /// Packages that the source has for us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub packages: Option<i32>,

    /// Versions of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<i64>,

    /// Versions and refs that were left out; `package-broker status` says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skipped: Option<i32>,

    /// The version of the Secret in `credentialsSecretRef` that the rest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_secret_version: Option<String>,

    /// What the source was at the last sync that succeeded: of a git repository `main@sha1:COMMIT`, the
    /// default branch and its commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,

    /// Below the broker's URL, where calls of its webhook go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook_path: Option<String>,
}

/// The state of an AccessToken.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccessTokenStatus {
    /// The generation of the spec that the rest is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Ready, SecretReady, Registered, Expired, Reconciling, Stalled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,

    /// The last value of the annotation that asks for a look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,

    /// The Secret with the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_name: Option<String>,

    /// The first 8 digits of the token's SHA-256: enough to tell it from others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,

    /// When the token was made, or first seen where somebody else put it into the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued_at: Option<Time>,

    /// When the token stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Time>,

    /// When a token was last replaced, by rotation or because somebody asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotated_at: Option<Time>,

    /// When the token is replaced by a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_rotation_time: Option<Time>,

    /// Until when the token before this one is valid too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_valid_until: Option<Time>,

    /// The last value of the annotation that asks for a new token, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_handled_rotate_at: Option<String>,
}
