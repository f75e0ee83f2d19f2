//! Composer repositories in every format, in good and in bad shape.

mod archives;
mod bounds;
mod formats;
mod incremental;
mod malformed;

use package_broker_core::{
    domain::metadata::{PackageVersions, Version},
    ports::source::{Listing, Reading, Source, SourceError, Survey},
};

use crate::support::source::{known, name};

/// The pretty versions of a package after the core's own check, newest first.
async fn versions(survey: &Survey, package: &str) -> Vec<String> {
    let (found, _) = read(survey, package, None)
        .await
        .unwrap()
        .unwrap_or_default();
    found.versions.iter().map(Version::pretty).collect()
}

/// A package and its validator; `None` if it is absent.
async fn read(
    survey: &Survey,
    package: &str,
    validator: Option<&str>,
) -> Result<Option<(PackageVersions, Option<String>)>, SourceError> {
    match survey
        .reader
        .read(&name(package), &known(validator))
        .await?
    {
        Reading::Found(found) => {
            let versions = PackageVersions::check(&name(package), found.versions, found.skipped);
            Ok(Some((versions, found.validator)))
        }
        Reading::Absent => Ok(None),
        Reading::Unchanged => panic!("{package} is unchanged"),
    }
}

async fn is_unchanged(survey: &Survey, package: &str, validator: &str) -> bool {
    let reading = survey
        .reader
        .read(&name(package), &known(Some(validator)))
        .await
        .unwrap();
    matches!(reading, Reading::Unchanged)
}

fn names(survey: &Survey) -> Vec<String> {
    match &survey.listing {
        Listing::Names(names) => names.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

async fn survey(source: &dyn Source) -> Survey {
    source.survey(None).await.unwrap()
}

/// One version as JSON.
fn version(package: &str, version: &str) -> String {
    format!(
        r#"{{"name":"{package}","version":"{version}","dist":{{"type":"zip","url":"https://h.example/{version}.zip","reference":"abc"}}}}"#
    )
}

/// A package file with these versions.
fn file(package: &str, versions: &[&str]) -> String {
    let entries: Vec<String> = versions.iter().map(|text| version(package, text)).collect();
    format!(r#"{{"packages":{{"{package}":[{}]}}}}"#, entries.join(","))
}
