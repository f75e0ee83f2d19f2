//! Reads the packages of a survey.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use package_broker_core::{
    domain::{
        archive::ArchiveFormat,
        metadata::{Fields, PackageVersions, Raw, links::Dist},
        names::PackageName,
        skipped::Skipped,
    },
    ports::source::{Found, Known, PackageReader, Reading, SourceError},
};

use super::{
    place::Place,
    refusal::Refusal,
    state::{Package, PackageFile},
};

/// The packages as a survey found them.
pub(super) type Packages = BTreeMap<PackageName, Package>;

/// Reads them.
pub(super) struct ArtifactReader {
    pub(super) place: Arc<Place>,
    pub(super) packages: Arc<Packages>,
}

#[async_trait]
impl PackageReader for ArtifactReader {
    async fn read(&self, name: &PackageName, known: &Known) -> Result<Reading, SourceError> {
        let Some(package) = self.packages.get(name) else {
            return Ok(Reading::Absent);
        };
        let validator = package.validator();
        if known.validator.as_deref() == Some(validator.as_str()) {
            return Ok(Reading::Unchanged);
        }
        let before = by_file(known.versions(name).await);
        let mut found = Found {
            versions: Vec::new(),
            skipped: package.duplicates.clone(),
            validator: Some(validator),
        };
        for file in &package.files {
            let url = self.place.url_of_path(&file.path);
            let read = match before.get(&(url, file.sha1.clone())) {
                Some(fields) => Ok(fields.clone()),
                None => self.open(file).await,
            };
            match read {
                Ok(fields) => found.versions.push(fields),
                // A failure, if it may pass: what is stored stays, and the next sync surveys the file again.
                Err(refusal) => {
                    let refusal = refusal.or_failure(&self.place, &file.path)?;
                    let reason = refusal.to_string();
                    found.skipped.push(Skipped::new(file.path.clone(), reason));
                }
            }
        }
        Ok(Reading::Found(found))
    }
}

impl ArtifactReader {
    async fn open(&self, file: &PackageFile) -> Result<Fields, Refusal> {
        let format = ArchiveFormat::of_file(&file.path).ok_or(Refusal::NoComposerJson)?;
        let mut fields = self.place.fields(file).await?;
        let sha1 = Some(file.sha1.clone());
        let dist = Dist {
            kind: format.dist_type().to_owned(),
            url: self.place.url_of_path(&file.path),
            reference: sha1.clone(),
            shasum: sha1,
        };
        fields.set("dist", Raw::of(&dist));
        Ok(fields)
    }
}

/// The versions of the last sync by the address and content of their files.
fn by_file(known: PackageVersions) -> HashMap<(String, String), Fields> {
    let versions = known.versions.into_iter();
    let keyed = versions.filter_map(|version| {
        let dist = version.dist()?;
        let address = (dist.url.clone(), dist.reference.clone()?);
        Some((address, version.fields().clone()))
    });
    keyed.collect()
}
