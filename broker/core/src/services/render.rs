//! From a package's versions to what is stored and served of it: work in proportion to their size, off the runtime.

use std::collections::HashMap;

use super::compress::compress;
use crate::{
    domain::{
        archive::{Archive, ArchiveFormat, url_segment},
        metadata::{Channel, DistUrls, PackageVersions, Version, document},
        names::{PackageName, RepositoryName},
    },
    ports::database::{Publication, PutPackage},
};

/// A package's new content, rendered in case its repository owns the name.
pub struct Prepared {
    pub(super) put: PutPackage,
    pub(super) publication: Publication,
    pub(super) rendered_with: RenderedWith,
}

/// What a document was rendered with that may have moved by the time it is stored.
#[derive(PartialEq, Eq)]
pub(super) struct RenderedWith {
    pub(super) urls: DistUrls,
    /// How often documents had been rendered because of a new archive before the checksums were read.
    pub(super) archives: u64,
}

impl Prepared {
    /// Encodes and renders a package. Takes time in proportion to its size: call it off the async runtime.
    pub fn new(
        repository: &RepositoryName,
        package: &PackageName,
        validator: Option<String>,
        content: &PackageVersions,
        urls: DistUrls,
        checksums: &Checksums,
    ) -> Self {
        let put = PutPackage {
            repository: repository.clone(),
            package: package.clone(),
            validator,
            content: content.encode().into(),
            versions: count(content.versions.len()),
            skipped: count(content.skipped.len()),
        };
        Self {
            publication: publication(repository, package, content, &urls, checksums),
            rendered_with: RenderedWith {
                urls,
                archives: checksums.archives,
            },
            put,
        }
    }

    /// The package's name.
    pub fn package(&self) -> &PackageName {
        &self.put.package
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// The SHA-1 of archives we store, by version segment, reference segment and format.
#[derive(Clone)]
pub struct Checksums {
    by_address: HashMap<(String, String, ArchiveFormat), String>,
    pub(super) archives: u64,
}

impl Checksums {
    /// Those of stored archives. `archives` is how often documents had been rendered because of a new archive before
    /// they were looked up.
    pub(super) fn new(stored: Vec<Archive>, archives: u64) -> Self {
        let by_address = stored
            .into_iter()
            .map(|a| ((a.key.version, a.key.reference, a.format), a.sha1));
        Self {
            by_address: by_address.collect(),
            archives,
        }
    }

    fn of(&self, version: &Version) -> Option<String> {
        if self.by_address.is_empty() {
            return None;
        }
        let dist = version.dist()?;
        let segment = url_segment(version.normalized().as_str());
        let address = (segment, dist.segment(), dist.format()?);
        self.by_address.get(&address).cloned()
    }
}

/// What a package is served as when `repository` owns its name.
pub(super) fn publication(
    repository: &RepositoryName,
    package: &PackageName,
    content: &PackageVersions,
    urls: &DistUrls,
    checksums: &Checksums,
) -> Publication {
    let checksum = |version: &Version| checksums.of(version);
    let render =
        |channel| compress(&document::render(package, content, channel, urls, &checksum).json);
    let newest = content
        .channel(Channel::Stable)
        .next()
        .or(content.versions.first());
    let text = |key: &str| {
        newest
            .and_then(|version| version.fields().read::<String>(key))
            .unwrap_or_default()
    };
    let abandoned = newest.and_then(|version| version.fields().get("abandoned").cloned());
    Publication {
        package: package.clone(),
        owner: repository.clone(),
        stable: render(Channel::Stable),
        dev: render(Channel::Dev),
        description: text("description").chars().take(500).collect(),
        kind: newest
            .and_then(|version| version.fields().read("type"))
            .unwrap_or_else(|| "library".to_owned()),
        abandoned: abandoned
            .map(|raw| {
                raw.read::<String>().unwrap_or_else(|| {
                    if raw.text() == "true" {
                        "true".to_owned()
                    } else {
                        String::new()
                    }
                })
            })
            .unwrap_or_default(),
    }
}
