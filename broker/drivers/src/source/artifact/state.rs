//! What is remembered of every file between two syncs.

use std::collections::{BTreeMap, HashSet};

use package_broker_core::domain::{
    names::PackageName, skipped::Skipped, version::NormalizedVersion,
};
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use super::{local::FolderId, place::Stamp, refusal::Refusal};

/// Changes whenever the rules do by which files are judged: then everything is read again.
const RULES: u32 = 1;

/// Every file by its path relative to the place. Its order decides which of two files with one version stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    rules: u32,
    /// The folder that they are in, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) folder: Option<FolderId>,
    pub(super) files: BTreeMap<String, Entry>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// How it was when it was judged; without one, it is judged anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) stamp: Option<Stamp>,
    pub(super) outcome: Outcome,
    /// Why the outcome is still that of an earlier time, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) unread: Option<String>,
}

impl Entry {
    /// The entry of a file after a refusal. One that may pass changes nothing for a file that was a package `before`:
    /// what is published is not withdrawn because a file is being replaced or a disk hiccups.
    pub(super) fn refused(before: Option<&Self>, stamp: Option<Stamp>, refusal: &Refusal) -> Self {
        match before {
            Some(before) if before.is_package() && refusal.may_pass() => Self {
                unread: Some(refusal.to_string()),
                ..before.clone()
            },
            _ => Self {
                stamp: stamp.filter(|_| refusal.is_settled()),
                outcome: Outcome::Refused(refusal.to_string()),
                unread: None,
            },
        }
    }

    /// Whether the file is, or was when it was last read, a package.
    pub(super) fn is_package(&self) -> bool {
        matches!(self.outcome, Outcome::Package(_))
    }
}

/// What a file turned out to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    Package(Identity),
    Refused(String),
}

/// Which version of which package a file is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) name: PackageName,
    pub(super) version: NormalizedVersion,
    /// Of the whole file, lower-case hexadecimal.
    pub(super) sha1: String,
}

/// The files of one package, in their order.
#[derive(Debug, Default)]
pub(super) struct Package {
    pub(super) files: Vec<PackageFile>,
    pub(super) duplicates: Vec<Skipped>,
    versions: HashSet<NormalizedVersion>,
}

/// The file of one version.
#[derive(Clone, Debug)]
pub(super) struct PackageFile {
    pub(super) path: String,
    pub(super) sha1: String,
    pub(super) stamp: Option<Stamp>,
}

impl State {
    pub(super) fn of(folder: Option<FolderId>, files: BTreeMap<String, Entry>) -> Self {
        Self {
            rules: RULES,
            folder,
            files,
        }
    }

    /// From the text of an earlier sync; empty if that was by other rules.
    pub(super) fn decode(text: &str) -> Self {
        serde_json::from_str::<Self>(text)
            .ok()
            .filter(|state| state.rules == RULES)
            .unwrap_or_default()
    }

    pub(super) fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// How many packages are in a folder, by its relative path, and below; an empty path means all.
    pub(super) fn packages_below(&self, folder: &str) -> usize {
        let is_below = |path: &str| {
            folder.is_empty()
                || path
                    .strip_prefix(folder)
                    .is_some_and(|rest| rest.starts_with('/'))
        };
        self.files
            .iter()
            .filter(|(path, entry)| entry.is_package() && is_below(path))
            .count()
    }

    /// The files by package; of two with the same version the first by path stands.
    pub(super) fn packages(&self) -> BTreeMap<PackageName, Package> {
        let mut packages: BTreeMap<PackageName, Package> = BTreeMap::new();
        for (path, entry) in &self.files {
            let Outcome::Package(identity) = &entry.outcome else {
                continue;
            };
            let package = packages.entry(identity.name.clone()).or_default();
            if package.versions.insert(identity.version.clone()) {
                let (path, sha1) = (path.clone(), identity.sha1.clone());
                package.files.push(PackageFile {
                    path,
                    sha1,
                    stamp: entry.stamp.clone(),
                });
            } else {
                let reason = format!(
                    "another file with version {} comes first by its path",
                    identity.version
                );
                package
                    .duplicates
                    .push(Skipped::new(path.clone(), reason).at(identity.sha1.clone()));
            }
        }
        packages
    }

    /// The files that are no package or could not be read, at most [`Skipped::MAX_KEPT`]; the last one then counts
    /// the rest.
    pub(super) fn skipped(&self) -> Vec<Skipped> {
        let refused =
            self.files
                .iter()
                .filter_map(|(path, entry)| match (&entry.outcome, &entry.unread) {
                    (Outcome::Refused(reason), _) => {
                        Some(Skipped::new(path.clone(), reason.clone()))
                    }
                    (Outcome::Package(_), Some(reason)) => {
                        let reason = format!("{reason}; what it held before stays");
                        Some(Skipped::new(path.clone(), reason))
                    }
                    (Outcome::Package(_), None) => None,
                });
        let mut skipped: Vec<Skipped> = refused.collect();
        if skipped.len() > Skipped::MAX_KEPT {
            let rest = skipped.len() - (Skipped::MAX_KEPT - 1);
            skipped.truncate(Skipped::MAX_KEPT - 1);
            skipped.push(Skipped::new(
                format!("{rest} more files"),
                "they are not read either; mend the others first",
            ));
        }
        skipped
    }
}

impl Package {
    /// A text that differs whenever a file of the package does.
    pub(super) fn validator(&self) -> String {
        let mut hash = Sha1::new();
        let duplicates = self
            .duplicates
            .iter()
            .map(|skipped| (&skipped.version, skipped.reference.as_deref()));
        let files = self
            .files
            .iter()
            .map(|file| (&file.path, Some(file.sha1.as_str())));
        for (path, sha1) in files.chain(duplicates) {
            hash.update(path);
            hash.update([0]);
            hash.update(sha1.unwrap_or_default());
            hash.update([0]);
        }
        format!("{RULES}:{}", hex::encode(hash.finalize()))
    }
}
