//! What a `PackageBroker` sets in a process.

use std::path::Path;

use anyhow::Context;
use ipnet::IpNet;
use package_broker_core::domain::repository::Repository;
use package_broker_crds::PackageBrokerSpec;
use package_broker_drivers::source::{SourceFactory, SourceLimits, egress::EgressPolicy};

use crate::{drivers::git_folder, manifests::Desired};

/// The repositories that manifests describe.
pub(crate) fn repositories(desired: &Desired) -> Vec<Repository> {
    let declared = desired.repositories.iter();
    declared
        .map(|(resource, secrets)| package_broker_kinds::repository(resource, secrets))
        .collect()
}

/// The settings that sources are read under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceSettings {
    policy: EgressPolicy,
    limits: SourceLimits,
}

impl SourceSettings {
    /// Those of a `PackageBroker`.
    pub(crate) fn of(spec: &PackageBrokerSpec) -> anyhow::Result<Self> {
        let policy = EgressPolicy {
            allowed_networks: networks(
                &spec.egress.allowed_networks,
                "spec.egress.allowedNetworks",
            )?,
            allow_http: spec.egress.allow_http,
            allow_file: spec.egress.allow_file_urls,
        };
        let limits = SourceLimits {
            max_metadata_size: spec.limits.max_metadata_size.bytes(),
            per_host: usize::try_from(spec.sync.per_host).unwrap_or(1),
            ..SourceLimits::default()
        };
        Ok(Self { policy, limits })
    }
}

/// Sources under these settings, with what they cache below the data folder.
pub(crate) fn sources(settings: &SourceSettings, data: &Path) -> SourceFactory {
    SourceFactory::new(
        settings.policy.clone().into(),
        settings.limits,
        git_folder(data),
    )
}

/// The proxies that are believed when they say whose request it is.
pub(crate) fn proxies(spec: &PackageBrokerSpec) -> anyhow::Result<Vec<IpNet>> {
    networks(&spec.trusted_proxies, "spec.trustedProxies")
}

fn networks<N: AsRef<str>>(networks: &[N], field: &str) -> anyhow::Result<Vec<IpNet>> {
    let parse = |network: &N| {
        let text = network.as_ref();
        text.parse()
            .with_context(|| format!("{field}: \"{text}\" is not a network"))
    };
    networks.iter().map(parse).collect()
}
