//! Reads the packages of a surveyed folder.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use package_broker_core::{
    domain::{
        metadata::{Fields, PackageVersions},
        names::PackageName,
        skipped::Skipped,
    },
    ports::source::{Found, Known, PackageReader, Reading, SourceError},
};
use tokio::sync::Semaphore;

use super::{
    folder::{self, Folder},
    inspect::Inspector,
    refusal::Refusal,
    state::{Package, PackageFile},
};

/// The packages as the survey found them.
pub(super) struct ArtifactReader {
    pub(super) folder: Arc<Folder>,
    pub(super) inspector: Inspector,
    pub(super) turns: Arc<Semaphore>,
    pub(super) packages: BTreeMap<PackageName, Package>,
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
            let read = match before.get(&(folder::url_of_path(&file.path), file.sha1.clone())) {
                Some(fields) => Ok(fields.clone()),
                None => self.open(file).await?,
            };
            match read {
                Ok(fields) => found.versions.push(fields),
                Err(refusal) if refusal.is_settled() => {
                    let reason = refusal.to_string();
                    found.skipped.push(Skipped::new(file.path.clone(), reason));
                }
                // A failure, so that what is stored stays, and the next sync surveys the file again.
                Err(refusal) => {
                    let problem = format!("{}: {refusal}", file.path);
                    return Err(self.folder.unavailable(problem));
                }
            }
        }
        Ok(Reading::Found(found))
    }
}

impl ArtifactReader {
    async fn open(&self, file: &PackageFile) -> Result<Result<Fields, Refusal>, SourceError> {
        let (folder, inspector, file) = (Arc::clone(&self.folder), self.inspector, file.clone());
        let work = move || match file.stamp {
            Some(stamp) => inspector.fields(&folder, &file, stamp),
            None => Err(Refusal::Busy),
        };
        super::blocking(&self.turns, &self.folder, work).await
    }
}

/// The versions of the last sync by the address and content of their files.
fn by_file(known: PackageVersions) -> HashMap<(String, String), Fields> {
    let versions = known.versions.into_iter();
    let keyed = versions.filter_map(|version| {
        let dist = version.dist()?;
        Some(((dist.url, dist.reference?), version.fields().clone()))
    });
    keyed.collect()
}
