//! From the three kinds to what the core runs.

use std::path::Path;

use anyhow::Context;
use ipnet::IpNet;
use package_broker_core::{
    domain::{
        installation::{Installation, Limits},
        names::RepositoryName,
        patterns::{NameFilter, NamePattern},
        permissions::Permissions,
        quota::Quota,
        repository::{BucketAccess, Credentials, Repository, SourceKind, SyncMode},
        scope::Scope,
    },
    services::audit::AuditPolicy,
};
use package_broker_crds::{self as crds, PackageBrokerSpec, RepositoryType};
use package_broker_drivers::source::{SourceFactory, SourceLimits, egress::EgressPolicy};

use crate::{
    drivers::git_folder,
    manifests::{Desired, SecretData},
};

/// The repositories that manifests describe.
pub(crate) fn repositories(desired: &Desired) -> Vec<Repository> {
    let declared = desired.repositories.iter();
    declared
        .map(|(resource, secret)| repository(resource, secret.as_ref()))
        .collect()
}

/// An installation of these repositories, and the mirror that its `PackageBroker` wants. `default_url` is used where
/// `externalUrl` is left out.
pub(crate) fn installation(
    spec: &PackageBrokerSpec,
    mut repositories: Vec<Repository>,
    default_url: &str,
) -> Installation {
    repositories.extend(packagist(spec));
    let limits = Limits {
        max_archive_size: spec.limits.max_archive_size.bytes(),
        max_concurrent: usize::try_from(spec.sync.max_concurrent).unwrap_or(1),
        per_address: spec.limits.requests_per_hour_per_address.map(quota),
    };
    Installation::new(
        spec.external_url.as_deref().unwrap_or(default_url),
        repositories,
        patterns(&spec.owned_names),
        limits,
    )
}

fn repository(resource: &crds::Repository, secret: Option<&SecretData>) -> Repository {
    let spec = &resource.spec;
    Repository {
        name: RepositoryName::new(resource.metadata.name.as_deref().unwrap_or_default()),
        kind: match spec.type_ {
            RepositoryType::Composer => SourceKind::Composer,
            RepositoryType::Git => SourceKind::Git,
            RepositoryType::Artifact => SourceKind::Artifact,
        },
        url: spec.url.clone(),
        priority: spec.priority,
        filter: NameFilter {
            include: patterns(&spec.packages.include),
            exclude: patterns(&spec.packages.exclude),
        },
        mode: spec.sync.mode.map(|mode| match mode {
            crds::SyncMode::Eager => SyncMode::Eager,
            crds::SyncMode::Lazy => SyncMode::Lazy,
        }),
        interval: spec.sync.interval.duration(),
        timeout: spec.sync.timeout.duration(),
        path: spec
            .git
            .as_ref()
            .and_then(|git| git.path.as_deref())
            .map(|path| path.trim_matches('/').to_owned()),
        bucket: spec.bucket.as_ref().map(bucket).unwrap_or_default(),
        credentials: secret.cloned().map(Credentials::new).unwrap_or_default(),
        public: false,
    }
}

fn bucket(options: &crds::BucketOptions) -> BucketAccess {
    BucketAccess {
        endpoint: options.endpoint.clone(),
        region: options.region.clone(),
        path_style: options.path_style,
    }
}

/// The mirror of a public repository: asked last, and never for names that are ours.
fn packagist(spec: &PackageBrokerSpec) -> Option<Repository> {
    let packagist = spec.packagist.enabled.then_some(&spec.packagist)?;
    let sync = crds::RepositorySync::default();
    Some(Repository {
        name: RepositoryName::packagist(),
        kind: SourceKind::Composer,
        url: packagist.url.clone(),
        priority: i32::MIN,
        filter: NameFilter::default(),
        mode: match packagist.mode {
            crds::PackagistMode::Lazy => Some(SyncMode::Lazy),
        },
        interval: sync.interval.duration(),
        timeout: sync.timeout.duration(),
        path: None,
        bucket: BucketAccess::default(),
        credentials: Credentials::default(),
        public: true,
    })
}

fn patterns<P: AsRef<str>>(patterns: &[P]) -> Vec<NamePattern> {
    patterns
        .iter()
        .map(|pattern| NamePattern::new(pattern.as_ref()))
        .collect()
}

fn quota(per_hour: i32) -> Quota {
    // The schema has the same bounds.
    Quota::per_hour(u32::try_from(per_hour).unwrap_or_default())
}

/// What an `AccessToken` allows.
pub(crate) fn permissions(token: &crds::AccessToken) -> Permissions {
    let limit = token.spec.rate_limit.as_ref();
    Permissions {
        scope: scope(token),
        quota: limit.map(|limit| quota(limit.requests_per_hour)),
    }
}

fn scope(token: &crds::AccessToken) -> Scope {
    // A grant is a scope to read in. A permission to do more needs a grant that says so.
    match token.spec.permission {
        crds::Permission::Read => {}
    }
    let scopes = &token.spec.scopes;
    let repositories = scopes
        .repositories
        .iter()
        .map(|name| RepositoryName::new(name.as_ref()))
        .collect();
    Scope {
        packages: patterns(&scopes.packages),
        repositories,
    }
    .normalized()
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

/// What is recorded in the audit log, and for how long.
pub(crate) fn audit_policy(spec: &PackageBrokerSpec) -> AuditPolicy {
    AuditPolicy {
        enabled: spec.audit.enabled,
        retention: spec.audit.retention.duration(),
    }
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
