//! From a repository's tags and branches to versions (protocol B.1).

use std::{collections::HashMap, sync::Arc};

use gix::ObjectId;
use package_broker_core::{
    domain::{
        metadata::{Fields, PackageVersions, Raw, Version},
        names::PackageName,
        selection::RefPattern,
        skipped::Skipped,
    },
    ports::source::Found,
};
use serde_json::json;

use super::{
    candidates::{Candidate, Kind, candidates},
    host::Pages,
    manifest::{self, Declared, Manifest},
    refs::RemoteRefs,
    session::Session,
    trouble::Trouble,
};

/// How an archive of ours is marked in `dist.url`; the commit follows.
pub(super) const DIST_SCHEME: &str = "git:";

/// How many refs are read between two notes of progress.
const PROGRESS_STEP: usize = 64;

/// What all versions of a repository have in common.
pub(super) struct Package<'a> {
    /// The name, from the default branch.
    pub(super) name: &'a PackageName,
    /// What goes into `source.url`.
    pub(super) url: &'a str,
    /// The folder of `composer.json`.
    pub(super) path: Option<&'a str>,
    /// Which tags and branches are read; empty means all.
    pub(super) wanted: &'a [RefPattern],
    /// Where people see it.
    pub(super) pages: Option<&'a Pages>,
    /// The most bytes of a `composer.json`.
    pub(super) max_manifest: u64,
}

/// Reads every tag and branch into a version, or into a reason why not.
///
/// `before` is what was read last time under the same settings: a ref that is still where it was keeps its verdict
/// without a look at its commit.
///
/// # Errors
/// [`Trouble::Damaged`] if the mirror lacks an object.
pub(super) fn read_all(
    repository: &gix::Repository,
    package: &Package<'_>,
    refs: &RemoteRefs,
    before: &PackageVersions,
    session: &Session,
) -> Result<Found, Trouble> {
    let mut skipped = Vec::new();
    let candidates = candidates(refs, package.wanted, &mut skipped);
    let mut reader = Reader {
        repository,
        package,
        before: Before::of(before),
        manifests: HashMap::new(),
    };
    let mut versions = Vec::with_capacity(candidates.len());
    for (done, candidate) in candidates.iter().enumerate() {
        if done % PROGRESS_STEP == 0 {
            session.progress(done, candidates.len());
        }
        match reader.read(candidate)? {
            Ok(fields) => versions.push(fields),
            Err(reason) => skipped.push(reason),
        }
    }
    session.progress(candidates.len(), candidates.len());
    Ok(Found {
        versions,
        skipped,
        validator: None,
    })
}

/// What the last sync made of each ref.
struct Before<'a> {
    versions: HashMap<&'a str, &'a Version>,
    skipped: HashMap<(&'a str, &'a str), &'a Skipped>,
}

impl<'a> Before<'a> {
    fn of(before: &'a PackageVersions) -> Self {
        let versions = before
            .versions
            .iter()
            .map(|version| (version.normalized().as_str(), version))
            .collect();
        let judged = before.skipped.iter();
        let skipped = judged
            .filter_map(|skipped| {
                Some((
                    (skipped.version.as_str(), skipped.reference.as_deref()?),
                    skipped,
                ))
            })
            .collect();
        Self { versions, skipped }
    }

    /// The verdict on a ref that has not moved. A version whose text was declared in `composer.json` is read again,
    /// since it does not tell the tag it came from.
    fn verdict(
        &self,
        candidate: &Candidate,
        commit: &str,
        url: &str,
    ) -> Option<Result<Fields, Skipped>> {
        if let Some(skipped) = self.skipped.get(&(candidate.label.as_str(), commit)) {
            return Some(Err((*skipped).clone()));
        }
        let version = self.versions.get(candidate.version.normalized.as_str())?;
        let source = version.source()?;
        let same = source.reference == commit
            && source.url == url
            && version.pretty() == candidate.version.pretty;
        same.then(|| Ok(with_default(version.fields().clone(), candidate.kind)))
    }
}

/// Reads candidates one by one; equal `composer.json` files are parsed once.
struct Reader<'a> {
    repository: &'a gix::Repository,
    package: &'a Package<'a>,
    before: Before<'a>,
    manifests: HashMap<ObjectId, Result<Arc<Manifest>, String>>,
}

impl Reader<'_> {
    fn read(&mut self, candidate: &Candidate) -> Result<Result<Fields, Skipped>, Trouble> {
        let commit = candidate.target.peeled.to_string();
        if let Some(verdict) = self.before.verdict(candidate, &commit, self.package.url) {
            return Ok(verdict);
        }
        let read = self.fields(candidate, &commit)?;
        Ok(read.map_err(|reason| Skipped::new(candidate.label.clone(), reason).at(commit)))
    }

    fn fields(
        &mut self,
        candidate: &Candidate,
        commit: &str,
    ) -> Result<Result<Fields, String>, Trouble> {
        let object = self
            .repository
            .find_object(candidate.target.peeled)
            .map_err(Trouble::damaged)?;
        let kind = object.kind;
        let Ok(object) = object.try_into_commit() else {
            return Ok(Err(format!("it names a {kind}, not a commit")));
        };
        let Ok(time) = object.author().and_then(|author| author.time()) else {
            return Ok(Err("the commit has no readable author date".to_owned()));
        };
        let tree = object.tree().map_err(Trouble::damaged)?;
        let manifest = match manifest::locate(&tree, self.package.path)? {
            Ok(blob) => self.manifest(blob)?,
            Err(reason) => Err(reason),
        };
        Ok(manifest.and_then(|manifest| {
            assemble(self.package, candidate, commit, time.seconds, &manifest)
        }))
    }

    fn manifest(&mut self, blob: ObjectId) -> Result<Result<Arc<Manifest>, String>, Trouble> {
        if let Some(known) = self.manifests.get(&blob) {
            return Ok(known.clone());
        }
        let read = manifest::read(self.repository, blob, self.package.max_manifest)?.map(Arc::new);
        self.manifests.insert(blob, read.clone());
        Ok(read)
    }
}

/// Puts a version's fields together.
fn assemble(
    package: &Package<'_>,
    candidate: &Candidate,
    commit: &str,
    seconds: i64,
    manifest: &Manifest,
) -> Result<Fields, String> {
    let version = match (&manifest.declared, candidate.kind) {
        (Some(Declared::Text(declared)), Kind::Tag) => candidate
            .version
            .with_declared(declared)
            .map_err(|error| error.to_string())?,
        (Some(Declared::Odd), Kind::Tag) => {
            return Err("\"version\" in composer.json is not a string".to_owned());
        }
        (_, Kind::Tag | Kind::Branch | Kind::DefaultBranch) => candidate.version.clone(),
    };
    let ours = [
        ("name", Raw::of(package.name.as_str())),
        ("version", Raw::of(&version.pretty)),
        ("version_normalized", Raw::of(version.normalized.as_str())),
        (
            "source",
            Raw::of(&json!({ "type": "git", "url": package.url, "reference": commit })),
        ),
        (
            "dist",
            Raw::of(
                &json!({ "type": "zip", "url": format!("{DIST_SCHEME}{commit}"), "reference": commit }),
            ),
        ),
    ];
    let theirs = manifest
        .fields
        .iter()
        .map(|(key, value)| (Arc::clone(key), value.clone()));
    let time = rfc3339(seconds).map(|time| ("time".into(), Raw::of(&time)));
    let all = ours
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .chain(theirs)
        .chain(time);
    let mut fields = with_default(all.collect(), candidate.kind);
    if let Some(pages) = package.pages {
        let is_tag = candidate.kind == Kind::Tag;
        let tag = is_tag.then_some(candidate.label.as_str());
        pages.add_support(&mut fields, tag, commit);
    }
    Ok(fields)
}

/// Marks the default branch, and no other version.
fn with_default(mut fields: Fields, kind: Kind) -> Fields {
    if kind == Kind::DefaultBranch {
        fields.set("default-branch", Raw::of(&true));
    } else {
        fields.remove("default-branch");
    }
    fields
}

/// A commit's date as Packagist writes it; nothing for dates beyond the calendar.
fn rfc3339(seconds: i64) -> Option<String> {
    let time = jiff::Timestamp::from_second(seconds).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc() {
        assert_eq!(rfc3339(0).as_deref(), Some("1970-01-01T00:00:00+00:00"));
        assert_eq!(rfc3339(i64::MAX), None);
    }
}
