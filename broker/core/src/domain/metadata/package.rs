//! A package's versions as the database keeps them: complete, checked, newest first.

use std::{cmp::Reverse, collections::HashSet};

use serde::{Deserialize, Serialize};

use super::{
    check::{self, Checked},
    fields::{Fields, Raw},
    links::{Dist, SourceRef},
};
use crate::domain::{names::PackageName, skipped::Skipped, version::NormalizedVersion};

/// The two documents of a package (protocol A.3): tagged versions, and branches under `~dev`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// `/p2/vendor/name.json`.
    Stable,
    /// `/p2/vendor/name~dev.json`.
    Dev,
}

impl Channel {
    /// Both, in the order they are stored.
    pub const ALL: [Self; 2] = [Self::Stable, Self::Dev];

    /// The word used in the database and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Dev => "dev",
        }
    }
}

/// One version that clients can load: checked, with its normalised version beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    normalized: NormalizedVersion,
    fields: Fields,
    // What is in the fields, read once.
    dist: Option<Dist>,
    source: Option<SourceRef>,
}

impl Version {
    /// Checks and cleans what a source gave for a version of `package`.
    ///
    /// # Errors
    /// [`Skipped`] with the reason, if some client would stop over it (protocol A.3).
    pub fn check(package: &PackageName, fields: Fields) -> Result<Self, Skipped> {
        let Checked {
            normalized,
            fields,
            dist,
            source,
        } = check::check(package, fields)?;
        Ok(Self {
            normalized,
            fields,
            dist,
            source,
        })
    }

    /// The normalised version.
    pub fn normalized(&self) -> &NormalizedVersion {
        &self.normalized
    }

    /// The version as its author wrote it.
    pub fn pretty(&self) -> String {
        self.fields
            .read("version")
            .unwrap_or_else(|| self.normalized.as_str().to_owned())
    }

    /// All keys and values.
    pub fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Sets `published-time`, which the broker vouches for (protocol A.11).
    pub fn set_published_time(&mut self, time: Raw) {
        self.fields.set("published-time", time);
    }

    /// Which document it belongs to.
    pub fn channel(&self) -> Channel {
        if self.normalized.is_dev() {
            Channel::Dev
        } else {
            Channel::Stable
        }
    }

    /// Its `dist`, if it has one.
    pub fn dist(&self) -> Option<&Dist> {
        self.dist.as_ref()
    }

    /// Its `source`, if it has one.
    pub fn source(&self) -> Option<&SourceRef> {
        self.source.as_ref()
    }

    /// What tells two contents of one version apart: the reference of `dist`, else of `source`.
    pub fn reference(&self) -> Option<&str> {
        let of_dist = self.dist().and_then(|dist| dist.reference.as_deref());
        of_dist.or_else(|| Some(self.source()?.reference.as_str()))
    }
}

/// All that is known of a package in one repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PackageVersions {
    /// Newest first; no two with the same normalised version (protocol A.13).
    pub versions: Vec<Version>,
    /// What was left out.
    pub skipped: Vec<Skipped>,
}

impl PackageVersions {
    /// Checks every version a source gave, sorts them, and drops repeats: the first one given stands.
    pub fn check(package: &PackageName, given: Vec<Fields>, mut skipped: Vec<Skipped>) -> Self {
        let mut seen = HashSet::with_capacity(given.len());
        let mut versions = Vec::with_capacity(given.len());
        for fields in given {
            match Version::check(package, fields) {
                Ok(version) if seen.insert(version.normalized.clone()) => versions.push(version),
                Ok(version) => skipped.push(Skipped::new(
                    version.pretty(),
                    format!(
                        "another version with the same normalised form {} came first",
                        version.normalized
                    ),
                )),
                Err(reason) => skipped.push(reason),
            }
        }
        versions.sort_by_cached_key(|version| Reverse(version.normalized.clone()));
        skipped.truncate(Skipped::MAX_KEPT);
        Self { versions, skipped }
    }

    /// The versions of one channel, newest first.
    pub fn channel(&self, channel: Channel) -> impl Iterator<Item = &Version> {
        self.versions
            .iter()
            .filter(move |version| version.channel() == channel)
    }
}

/// The stored form: JSON of the entries, minified, and of what was skipped.
#[derive(Serialize, Deserialize)]
struct Stored {
    versions: Vec<Fields>,
    #[serde(default)]
    skipped: Vec<Skipped>,
}

impl PackageVersions {
    /// As bytes for the database.
    pub fn encode(&self) -> Vec<u8> {
        let versions: Vec<&Fields> = self.versions.iter().map(Version::fields).collect();
        let stored = Stored {
            versions: super::minify::minify(&versions),
            skipped: self.skipped.clone(),
        };
        serde_json::to_vec(&stored).unwrap_or_default()
    }

    /// From bytes of the database.
    ///
    /// # Errors
    /// A description of the damage; the caller knows which package it was.
    pub fn decode(package: &PackageName, bytes: &[u8]) -> Result<Self, String> {
        let stored: Stored = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        let mut versions = Vec::with_capacity(stored.versions.len());
        let mut skipped = stored.skipped;
        for fields in super::minify::expand(stored.versions) {
            match Version::check(package, fields) {
                Ok(version) => versions.push(version),
                // An earlier release of this program was less strict.
                Err(unfit) => skipped.push(unfit),
            }
        }
        Ok(Self { versions, skipped })
    }
}
