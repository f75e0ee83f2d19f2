//! From the three kinds to what the core runs.

use std::time::Duration;

use package_broker_core::domain::{
    cadence::Cadence,
    installation::{Installation, Limits},
    names::RepositoryName,
    patterns::{NameFilter, NamePattern},
    permissions::Permissions,
    quota::Quota,
    repository::{BucketAccess, Credentials, Repository, SourceKind, SyncMode},
    scope::Scope,
    selection::{RefPattern, VersionFilter},
    version::Stability,
};
use package_broker_crds::{self as crds, PackageBrokerSpec, RepositoryType};

use crate::{RepositorySecrets, schedule, webhook};

/// How often a source is read of which nothing else is said.
const INTERVAL: Duration = Duration::from_hours(1);

/// An installation of these repositories, and the mirror that its `PackageBroker` wants. `default_url` is used where
/// `externalUrl` is left out.
pub fn installation(
    spec: &PackageBrokerSpec,
    mut repositories: Vec<Repository>,
    default_url: &str,
) -> Installation {
    repositories.extend(packagist(spec));
    let limits = Limits {
        max_archive_size: spec.limits.max_archive_size.bytes(),
        max_concurrent: usize::try_from(spec.sync.max_concurrent).unwrap_or(1),
        packages_per_repository: usize::try_from(spec.sync.packages_per_repository).unwrap_or(1),
        per_address: spec.limits.requests_per_hour_per_address.map(quota),
    };
    Installation::new(
        spec.external_url.as_deref().unwrap_or(default_url),
        repositories,
        patterns(&spec.owned_names),
        limits,
    )
}

/// What a `Repository` and the Secrets that it names describe.
pub fn repository(resource: &crds::Repository, secrets: &RepositorySecrets) -> Repository {
    let spec = &resource.spec;
    Repository {
        name: RepositoryName::new(resource.metadata.name.as_deref().unwrap_or_default()),
        kind: match spec.type_ {
            RepositoryType::Composer => SourceKind::Composer,
            RepositoryType::Git => SourceKind::Git,
            RepositoryType::GitHub => SourceKind::GitHub,
            RepositoryType::GitLab => SourceKind::GitLab,
            RepositoryType::Bitbucket => SourceKind::Bitbucket,
            RepositoryType::Artifact => SourceKind::Artifact,
        },
        url: spec.url.clone(),
        priority: spec.priority,
        filter: NameFilter {
            include: patterns(&spec.packages.include),
            exclude: patterns(&spec.packages.exclude),
        },
        versions: spec.versions.as_ref().map(versions).unwrap_or_default(),
        mode: spec.sync.mode.map(|mode| match mode {
            crds::SyncMode::Eager => SyncMode::Eager,
            crds::SyncMode::Lazy => SyncMode::Lazy,
        }),
        cadence: cadence(&spec.sync),
        timeout: spec.sync.timeout.duration(),
        path: spec
            .git
            .as_ref()
            .and_then(|git| git.path.as_deref())
            .map(|path| path.trim_matches('/').to_owned()),
        refs: spec.git.iter().flat_map(refs).collect(),
        bucket: spec.bucket.as_ref().map(bucket).unwrap_or_default(),
        credentials: Credentials::new(secrets.credentials.clone().unwrap_or_default()),
        webhook: secrets.webhook.as_ref().and_then(webhook::read),
        public: false,
        suspended: spec.suspend,
        retained: spec.deletion_policy == crds::DeletionPolicy::Retain,
    }
}

/// When a source is read. One whose schedule is none is not run: [`schedule::mistake`] has told it before.
fn cadence(sync: &crds::RepositorySync) -> Cadence {
    match schedule::read(sync) {
        Some(Ok(schedule)) => Cadence::At(schedule),
        Some(Err(_)) | None => Cadence::Every(
            sync.interval
                .as_ref()
                .map_or(INTERVAL, crds::DurationString::duration),
        ),
    }
}

fn versions(filter: &crds::VersionFilter) -> VersionFilter {
    let stability = filter.stability.map(|least| match least {
        crds::Stability::Dev => Stability::Dev,
        crds::Stability::Alpha => Stability::Alpha,
        crds::Stability::Beta => Stability::Beta,
        crds::Stability::RC => Stability::RC,
        crds::Stability::Stable => Stability::Stable,
    });
    VersionFilter {
        // The same as nothing.
        stability: stability.filter(|least| *least != Stability::Dev),
        retain: filter.retain.and_then(|most| usize::try_from(most).ok()),
    }
}

fn refs(git: &crds::GitOptions) -> impl Iterator<Item = RefPattern> {
    let patterns = git.refs.iter();
    patterns.map(|pattern| RefPattern::new(pattern.as_str()))
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
        versions: VersionFilter::default(),
        mode: match packagist.mode {
            crds::PackagistMode::Lazy => Some(SyncMode::Lazy),
        },
        cadence: cadence(&sync),
        timeout: sync.timeout.duration(),
        path: None,
        refs: Vec::new(),
        bucket: BucketAccess::default(),
        credentials: Credentials::default(),
        webhook: None,
        public: true,
        suspended: false,
        retained: false,
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
pub fn permissions(token: &crds::AccessToken) -> Permissions {
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
