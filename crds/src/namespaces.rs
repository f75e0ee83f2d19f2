//! From which other namespaces objects may belong to a `PackageBroker`.

#![expect(
    unreachable_pub,
    reason = "the derive of KubeSchema repeats each struct in a private scope"
)]

use std::collections::BTreeMap;

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::text::maps;

/// From which namespaces objects may belong to the registry, by kind.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AllowedNamespaces {
    /// Namespaces of Repositories. Whoever may write Repositories there can have packages served.
    /// Default: that of the PackageBroker.
    #[serde(default)]
    pub repositories: NamespaceRule,

    /// Namespaces of AccessTokens. Whoever may write AccessTokens there can read every package.
    /// Default: that of the PackageBroker.
    #[serde(default)]
    pub access_tokens: NamespaceRule,
}

/// Which namespaces. That of the PackageBroker always is one of them.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(validation = Rule::new("(has(self.from) && self.from == 'Selector') == has(self.selector)")
    .message("a selector goes with from: Selector and with nothing else; write both, or neither")
    .field_path(".selector"))]
#[serde(rename_all = "camelCase")]
pub struct NamespaceRule {
    /// `Same`, `All`, or those that `selector` selects: `Selector`. Default: `Same`.
    #[serde(default)]
    pub from: NamespacesFrom,

    /// Which labels a namespace must have. Only in a cluster, and only with `from: Selector`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<NamespaceSelector>,
}

/// Where other namespaces are, as in Gateway API's `allowedRoutes`.
#[derive(
    schemars::JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize,
)]
pub enum NamespacesFrom {
    /// No other.
    #[default]
    Same,
    /// Every one.
    All,
    /// Those with certain labels.
    Selector,
}

/// Labels of namespaces.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSelector {
    /// Labels that a namespace must have, all of them.
    /// Example: `{"packages.example.com/team": "php"}`.
    #[schemars(schema_with = "maps::selector")]
    pub match_labels: BTreeMap<String, String>,
}
