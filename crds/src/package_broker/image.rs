//! The image that a registry's pods run.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::common::SecretRef;

/// An image, and how it is got.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Image {
    /// Registry and name. Example: `registry.example.com/package-broker`.
    /// Default: that of the operator's image list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 255))]
    pub repository: Option<String>,

    /// Tag. Example: `1.2.0`. Default: that which came with the operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^[A-Za-z0-9_][A-Za-z0-9_.-]*$')")
        .message("not a tag; use letters, digits, _, . and -"))]
    pub tag: Option<String>,

    /// Digest, which counts more than a tag. Example: `sha256:` and 64 hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    #[x_kube(validation = Rule::new("self.matches('^sha256:[a-f0-9]{64}$')")
        .message("not a digest; write sha256: and 64 hexadecimal digits"))]
    pub digest: Option<String>,

    /// When the node asks the registry: `Always`, `IfNotPresent` or `Never`.
    /// Default: `IfNotPresent`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_policy: Option<PullPolicy>,

    /// Secrets of type `kubernetes.io/dockerconfigjson` to pull with, in the same namespace.
    /// Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub pull_secrets: Vec<SecretRef>,
}

/// When a node asks a registry for an image.
#[derive(schemars::JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PullPolicy {
    /// Each time a pod starts.
    Always,
    /// If it has none of that name.
    IfNotPresent,
    /// Never: it was put there.
    Never,
}

impl PullPolicy {
    /// As it is written in a pod.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}
