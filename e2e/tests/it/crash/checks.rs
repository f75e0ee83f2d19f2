//! What has to be so after a broker was killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::json;

use super::campaign::Campaign;
use super::clients::{Acknowledged, Client, version_of};
use crate::support::registry::archive_in;
use crate::support::{eventually, json as json_of, sha1_of};

impl Campaign {
    /// What was answered is answered: the versions that were there, and archives as they were.
    pub(super) fn check(&mut self, acknowledged: &Acknowledged) {
        let client = Client::of(&self.registry);
        let mut now = Acknowledged::default();
        for (name, known) in &acknowledged.versions {
            let versions = client.versions(name, &mut now).unwrap();
            let versions = versions.unwrap_or_else(|| panic!("{name} was lost"));
            let versions: BTreeSet<String> = versions.iter().map(version_of).collect();
            let lost: Vec<_> = known.difference(&versions).collect();
            assert!(lost.is_empty(), "{name} has lost {lost:?}");
        }
        let whole: BTreeSet<&String> = self.archives.values().collect();
        for (path, sha1) in &acknowledged.archives {
            assert!(whole.contains(sha1), "{path} was served in parts");
            let answer = client.get(path).unwrap();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            assert_eq!(sha1_of(&answer.body), *sha1, "{path}");
        }
        self.seen.merge(now);
    }

    /// What is stored as an archive is one of the upstream's, whole.
    pub(super) fn check_blobs(&self) {
        let known: BTreeSet<&String> = self.archives.values().collect();
        for blob in self.registry.blobs() {
            let sha1 = sha1_of(&fs::read(&blob).unwrap());
            assert!(known.contains(&sha1), "{} is in parts", blob.display());
        }
    }

    /// Lets the sync come to its end: exactly what the upstream has is served.
    pub(super) fn converge(mut self) {
        assert!(self.interrupted > 0, "no sync was interrupted");
        let seen = std::mem::take(&mut self.seen);
        self.check(&seen);
        let (withdrawn, removed) = ("acme/lib001", "acme/lib002");
        self.upstream.withdraw(withdrawn, "1.0.0");
        self.upstream.remove(removed);
        let gone = (withdrawn.to_owned(), "1.0.0".to_owned());
        self.archives
            .retain(|version, _| *version != gone && version.0 != removed);
        self.gate.open();
        eventually("the end of the sync", || {
            (self.registry.said(&["synced"]) > 0).then_some(())
        });
        let mut expected: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
        // A package without versions is one all the same.
        expected.insert(withdrawn, BTreeSet::new());
        for (name, version) in self.archives.keys() {
            let versions = expected.entry(name).or_default();
            versions.insert(version.clone());
        }
        let listed = json_of(&self.registry.get("all", "/list.json"));
        let names: Vec<&str> = expected.keys().copied().collect();
        assert_eq!(listed["packageNames"], json!(names));
        for (name, versions) in expected {
            self.check_package(name, &versions, &seen);
        }
    }

    fn check_package(&self, name: &str, versions: &BTreeSet<String>, seen: &Acknowledged) {
        let served = self.registry.document("all", name);
        let told: BTreeSet<String> = served.iter().map(version_of).collect();
        assert_eq!(told, *versions, "{name}");
        for entry in &served {
            let path = archive_in(entry);
            let sha1 = &self.archives[&(name.to_owned(), version_of(entry))];
            if seen.archives.contains_key(&path) {
                eventually("the checksum", || {
                    let document = self.registry.document("all", name);
                    let known = document.iter().find(|known| archive_in(known) == path);
                    (known?["dist"]["shasum"] == **sha1).then_some(())
                });
            }
        }
        // Each archive that is new takes its time to be stored durably.
        if name.ends_with(['0', '1']) {
            let newest = &served[0];
            let answer = self.registry.get("all", &archive_in(newest));
            assert_eq!(answer.status, 200, "{name}: {}", answer.text());
            let expected = &self.archives[&(name.to_owned(), version_of(newest))];
            assert_eq!(sha1_of(&answer.body), *expected, "{name}");
        }
    }
}
