//! Clients that read while a broker is killed, and remember what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Result;
use package_broker_e2e::http::{Answer, Call};
use serde_json::Value;

use crate::support::json as json_of;
use crate::support::registry::{Registry, archive_in, basic, expanded, secret};
use crate::support::sha1_of;

/// What was answered with 200 so far. All of it has to be answered for ever.
#[derive(Default)]
pub(crate) struct Acknowledged {
    /// Versions by package.
    pub(crate) versions: BTreeMap<String, BTreeSet<String>>,
    /// SHA-1 of archives by path.
    pub(crate) archives: BTreeMap<String, String>,
    /// Documents by package and `Last-Modified`: clients keep them under both.
    documents: BTreeMap<(String, String), Vec<u8>>,
}

/// What a client reads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reads {
    /// Package documents only.
    Documents,
    /// Of each package the newest archive, too.
    Archives,
}

impl Acknowledged {
    /// Takes what another client saw as well.
    pub(crate) fn merge(&mut self, other: Self) {
        for (package, versions) in other.versions {
            self.versions.entry(package).or_default().extend(versions);
        }
        self.archives.extend(other.archives);
        for (key, document) in other.documents {
            self.note(&key, &document);
        }
    }

    fn note(&mut self, key: &(String, String), document: &[u8]) {
        let known = self.documents.entry(key.clone());
        let known = known.or_insert_with(|| document.to_vec());
        assert_eq!(
            String::from_utf8_lossy(known),
            String::from_utf8_lossy(document),
            "two contents of {key:?}"
        );
    }
}

/// Somebody who asks one running broker.
pub(crate) struct Client {
    url: String,
    authorization: String,
}

impl Client {
    /// A client of a registry as it runs now.
    pub(crate) fn of(registry: &Registry) -> Self {
        Self::at(registry.broker.url())
    }

    /// A client of whatever answers at that URL.
    pub(crate) fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            authorization: basic("token", &secret("all")),
        }
    }

    /// GET of a path.
    pub(crate) fn get(&self, path: &str) -> Result<Answer> {
        Call::new("GET", &format!("{}{path}", self.url))
            .header("Authorization", &self.authorization)
            .send()
    }

    /// Reads these names again and again until the broker is gone, which it may be only after
    /// `killed`.
    pub(crate) fn read_until(
        &self,
        reads: Reads,
        names: &[String],
        killed: &AtomicBool,
    ) -> Acknowledged {
        let mut seen = Acknowledged::default();
        for name in names.iter().cycle() {
            if let Err(error) = self.read(reads, name, &mut seen) {
                assert!(killed.load(Ordering::SeqCst), "{name}: {error:#}");
                break;
            }
        }
        seen
    }

    /// Reads these names again and again until it is over. Everything has to be answered.
    pub(crate) fn read_while(
        &self,
        reads: Reads,
        names: &[String],
        over: &AtomicBool,
    ) -> Acknowledged {
        let mut seen = Acknowledged::default();
        for name in names.iter().cycle() {
            if over.load(Ordering::SeqCst) {
                break;
            }
            self.read(reads, name, &mut seen)
                .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
        seen
    }

    fn read(&self, reads: Reads, name: &str, seen: &mut Acknowledged) -> Result<()> {
        let Some(versions) = self.versions(name, seen)? else {
            // Leaves the processor to the sync.
            thread::sleep(Duration::from_millis(1));
            return Ok(());
        };
        let known = seen.versions.entry(name.to_owned()).or_default();
        known.extend(versions.iter().map(version_of));
        if reads == Reads::Documents {
            return Ok(());
        }
        let path = archive_in(&versions[0]);
        let answer = self.get(&path)?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        seen.archives.insert(path, sha1_of(&answer.body));
        Ok(())
    }

    /// The versions of a package; `None` if it cannot be told yet.
    pub(crate) fn versions(
        &self,
        name: &str,
        seen: &mut Acknowledged,
    ) -> Result<Option<Vec<Value>>> {
        let answer = self.get(&format!("/p2/{name}.json"))?;
        if answer.status == 503 {
            return Ok(None);
        }
        assert_eq!(answer.status, 200, "{name}: {}", answer.text());
        let date = answer.header("last-modified").unwrap().to_owned();
        seen.note(&(name.to_owned(), date), &answer.body);
        Ok(Some(expanded(&json_of(&answer), name)))
    }
}

/// The pretty version of an entry.
pub(crate) fn version_of(entry: &Value) -> String {
    entry["version"].as_str().unwrap().to_owned()
}
