//! How much a registry takes in and keeps.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text::{DurationString, Quantity};

/// How much the registry takes in, keeps in memory and answers.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Largest archive that is fetched or built, in bytes. Default: `512Mi`.
    #[serde(default = "Limits::default_archive_size")]
    pub max_archive_size: Quantity,

    /// Largest metadata document that is read from a source, in bytes after decompression.
    /// Default: `128Mi`.
    #[serde(default = "Limits::default_metadata_size")]
    pub max_metadata_size: Quantity,

    /// Memory for rendered metadata documents, in bytes. Default: `64Mi`.
    #[serde(default = "Limits::default_cache_size")]
    pub document_cache_size: Quantity,

    /// Requests that one client address may make an hour, whatever its tokens, wrong ones
    /// included; 60 to 10000000. So many may come at once; after them, they are allowed again one
    /// by one, evenly over the hour. One more is answered with 429 and a `Retry-After` of at most
    /// a minute. IPv6 addresses count by their first 64 bits. Everybody behind one address shares
    /// the limit: name your proxies in `spec.trustedProxies` first. Example: `100000`.
    /// Default: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 60, max = 10_000_000))]
    pub requests_per_hour_per_address: Option<i32>,
}

impl Limits {
    fn default_archive_size() -> Quantity {
        Quantity::mebibytes(512)
    }

    fn default_metadata_size() -> Quantity {
        Quantity::mebibytes(128)
    }

    fn default_cache_size() -> Quantity {
        Quantity::mebibytes(64)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_archive_size: Self::default_archive_size(),
            max_metadata_size: Self::default_metadata_size(),
            document_cache_size: Self::default_cache_size(),
            requests_per_hour_per_address: None,
        }
    }
}

/// The log of who read and changed what.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Audit {
    /// Whether reads and changes are recorded. Records that are there stay until they are too old.
    /// Default: `true`.
    #[serde(default = "Audit::default_enabled")]
    pub enabled: bool,

    /// How long records are kept, at least one minute. Default: `2160h` (90 days).
    #[serde(default = "Audit::default_retention")]
    #[x_kube(
        validation = Rule::new("!self.matches('^([0-9]{1,6}(ms|s|m|h))+$') || duration(self) >= duration('1m')")
            .message("records would be gone before anybody can read them; write 1m or more, for instance 2160h")
    )]
    pub retention: DurationString,
}

impl Audit {
    fn default_enabled() -> bool {
        true
    }

    fn default_retention() -> DurationString {
        DurationString::minutes(90 * 24 * 60)
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            enabled: Self::default_enabled(),
            retention: Self::default_retention(),
        }
    }
}
