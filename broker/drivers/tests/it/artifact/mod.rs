//! Folders of archives: what is found in them, what is left out, and what is not read again.

mod bucket;
mod bucket_faults;
pub(crate) mod build;
mod folder;
mod incremental;
mod malformed;
mod unsettled;

use std::{path::Path, sync::Arc};

use package_broker_core::{
    domain::{
        metadata::{Fields, PackageVersions, links::Dist},
        names::PackageName,
        repository::SourceKind,
        skipped::Skipped,
    },
    ports::source::{Found, Listing, Reading, Source, SourceError, Survey},
};
use package_broker_drivers::source::{
    SourceLimits, artifact::ArtifactSource, egress::EgressPolicy, http::Network,
};

use crate::support::source::{known, loopback, name, repository};

fn open_with(url: &str, policy: EgressPolicy) -> Result<ArtifactSource, SourceError> {
    let mut repository = repository(url);
    repository.kind = SourceKind::Artifact;
    let network = Arc::new(Network::new(Arc::new(policy), SourceLimits::default()));
    ArtifactSource::open(&repository, &network, &std::env::temp_dir())
}

fn open(folder: &Path) -> ArtifactSource {
    open_with(folder.to_str().unwrap(), loopback()).unwrap()
}

async fn survey(folder: &Path) -> Survey {
    open(folder).survey(None).await.unwrap()
}

fn names(survey: &Survey) -> Vec<&str> {
    match &survey.listing {
        Listing::Names(names) => names.iter().map(PackageName::as_str).collect(),
        other => panic!("a folder knows its names, but says {other:?}"),
    }
}

fn by_file(skipped: &[Skipped]) -> Vec<(&str, &str)> {
    skipped
        .iter()
        .map(|skipped| (skipped.version.as_str(), skipped.reason.as_str()))
        .collect()
}

async fn read(survey: &Survey, package: &str) -> Found {
    match survey
        .reader
        .read(&name(package), &known(None))
        .await
        .unwrap()
    {
        Reading::Found(found) => found,
        Reading::Unchanged => panic!("{package} is unchanged"),
        Reading::Absent => panic!("{package} is absent"),
    }
}

/// The versions that pass the core's own check, newest first.
async fn versions(survey: &Survey, package: &str) -> Vec<String> {
    let found = read(survey, package).await;
    let checked = PackageVersions::check(&name(package), found.versions, found.skipped);
    checked
        .versions
        .iter()
        .map(package_broker_core::domain::metadata::Version::pretty)
        .collect()
}

fn dist(fields: &Fields) -> Dist {
    fields.read("dist").unwrap()
}
