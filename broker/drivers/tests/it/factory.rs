//! The one place that knows which protocol is spoken by whom.

use std::sync::Arc;

use package_broker_core::{
    domain::repository::SourceKind,
    ports::source::{SourceError, Sources},
};
use package_broker_drivers::source::{SourceFactory, SourceLimits, egress::EgressPolicy};

use crate::support::source::{loopback, repository};

fn open(policy: EgressPolicy, kind: SourceKind, url: &str) -> Result<(), SourceError> {
    let mirrors = std::env::temp_dir();
    let factory = SourceFactory::new(Arc::new(policy), SourceLimits::default(), mirrors);
    let mut repository = repository(url);
    repository.kind = kind;
    factory.open(&repository).map(drop)
}

#[test]
fn every_kind_opens_where_the_policy_lets_it() {
    for (kind, url, by_default) in [
        (SourceKind::Composer, "https://packages.example.com", true),
        (SourceKind::Composer, "http://127.0.0.1:8080/r", false),
        (
            SourceKind::Git,
            "https://git.example.com/acme/lib.git",
            true,
        ),
        (SourceKind::Git, "file:///srv/lib.git", false),
        (SourceKind::Artifact, "file:///srv/artifacts", false),
    ] {
        open(loopback(), kind, url).unwrap_or_else(|error| panic!("{url}: {error}"));
        match open(EgressPolicy::default(), kind, url) {
            Ok(()) => assert!(by_default, "{url} was opened"),
            Err(error) => {
                assert!(!by_default, "{url}: {error}");
                assert!(
                    matches!(error, SourceError::Forbidden { .. }),
                    "{url}: {error:?}"
                );
            }
        }
    }
}
