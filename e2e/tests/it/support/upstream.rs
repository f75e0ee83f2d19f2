//! A Composer repository that changes while it is read, and fails where it is told to.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use package_broker_e2e::http::{HttpServer, Request, Response};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use super::sha1_of;

type Disturbance = Arc<dyn Fn(&Request, Response) -> Response + Send + Sync>;

/// A running repository with `packages.json`, `p2/` with `~dev` twins and `dist/`.
pub(crate) struct Upstream {
    server: HttpServer,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Grows with every change; the `Last-Modified` of what changed.
    revision: u32,
    listed: bool,
    root: u32,
    packages: BTreeMap<String, Package>,
    archives: HashMap<String, Vec<u8>>,
    disturbances: HashMap<String, Disturbance>,
    delay: Duration,
}

#[derive(Default)]
struct Package {
    revision: u32,
    versions: Vec<Value>,
}

impl Upstream {
    /// An empty repository that lists its names.
    pub(crate) fn listed() -> Self {
        Self::start(true)
    }

    /// An empty repository that says nothing of its names, as the public one.
    pub(crate) fn unlisted() -> Self {
        Self::start(false)
    }

    fn start(listed: bool) -> Self {
        let state = Arc::new(Mutex::new(State {
            listed,
            revision: 1,
            root: 1,
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        let server = HttpServer::start(move |request| answer(&shared, request)).unwrap();
        Self { server, state }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The URL for a `composer` repository.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// The server behind it, for its log.
    pub(crate) fn server(&self) -> &HttpServer {
        &self.server
    }

    /// Publishes a version with an archive and its checksum; newest first in the document.
    pub(crate) fn release(&self, package: &str, version: &str) {
        self.publish(package, version, &archive(package, version, 0), true);
    }

    /// The same without a checksum, as hosts do that pack archives on demand.
    pub(crate) fn release_without_checksum(&self, package: &str, version: &str) {
        self.publish(package, version, &archive(package, version, 0), false);
    }

    /// Publishes a version with these bytes as its archive.
    pub(crate) fn publish(&self, package: &str, version: &str, zip: &[u8], checksum: bool) {
        let checksum = checksum.then(|| sha1_of(zip));
        self.replace_archive(package, version, zip);
        self.announce(package, version, &self.url(), checksum);
    }

    /// Publishes a version whose archive is said to be at the same path of another server.
    pub(crate) fn publish_elsewhere(&self, package: &str, version: &str, zip: &[u8], url: &str) {
        self.announce(package, version, url, Some(sha1_of(zip)));
    }

    /// From now on, the archive of a version has these bytes, whatever was said of it.
    pub(crate) fn replace_archive(&self, package: &str, version: &str, zip: &[u8]) {
        let path = archive_path(package, version);
        self.state().archives.insert(path, zip.to_vec());
    }

    fn announce(&self, package: &str, version: &str, url: &str, checksum: Option<String>) {
        let mut dist = json!({
            "type": "zip",
            "url": format!("{url}{}", archive_path(package, version)),
            "reference": sha1_of(format!("{package} {version}").as_bytes()),
        });
        if let Some(checksum) = checksum {
            dist["shasum"] = checksum.into();
        }
        let entry = json!({
            "name": package,
            "version": version,
            "type": "library",
            "description": format!("{package}, a package of the tests"),
            "published-time": "2024-01-01T00:00:00+00:00",
            "time": "2024-01-01T00:00:00+00:00",
            "dist": dist,
        });
        self.state()
            .change(package, |versions| versions.insert(0, entry));
    }

    /// Takes a version back, and its archive.
    pub(crate) fn withdraw(&self, package: &str, version: &str) {
        let mut state = self.state();
        state.archives.remove(&archive_path(package, version));
        state.change(package, |versions| {
            versions.retain(|entry| entry["version"] != version);
        });
    }

    /// Takes a whole package back; its archives stay.
    pub(crate) fn remove(&self, package: &str) {
        let mut state = self.state();
        state.packages.remove(package);
        state.revision += 1;
        state.root = state.revision;
    }

    /// From now on, answers below `path` (or for exactly it) pass through `change`.
    pub(crate) fn disturb(
        &self,
        path: &str,
        change: impl Fn(&Request, Response) -> Response + Send + Sync + 'static,
    ) {
        let change: Disturbance = Arc::new(change);
        self.state().disturbances.insert(path.to_owned(), change);
    }

    /// From now on, everything below `path` is answered with that status.
    pub(crate) fn fail(&self, path: &str, status: u16) {
        self.disturb(path, move |_, _| {
            Response::new(status, "text/plain", "on purpose")
        });
    }

    /// Ends the disturbance of `path`.
    pub(crate) fn mend(&self, path: &str) {
        self.state().disturbances.remove(path);
    }

    /// From now on, every answer comes after this time.
    pub(crate) fn delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// How many requests there were below `path`, or for exactly it.
    pub(crate) fn asked(&self, path: &str) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|request| request.path.starts_with(path))
            .count()
    }
}

impl State {
    fn change(&mut self, package: &str, change: impl FnOnce(&mut Vec<Value>)) {
        self.revision += 1;
        let revision = self.revision;
        let known = self.packages.entry(package.to_owned()).or_default();
        if known.revision == 0 {
            self.root = revision;
        }
        known.revision = revision;
        change(&mut known.versions);
    }

    fn document(&self, path: &str) -> Option<(u32, Value)> {
        if path == "/packages.json" {
            let mut root = json!({"packages": {}, "metadata-url": "/p2/%package%.json"});
            if self.listed {
                root["available-packages"] = self.packages.keys().cloned().collect();
            }
            return Some((self.root, root));
        }
        let name = path.strip_prefix("/p2/")?.strip_suffix(".json")?;
        let (name, dev) = match name.strip_suffix("~dev") {
            Some(name) => (name, true),
            None => (name, false),
        };
        let package = self.packages.get(name)?;
        let is_dev = |entry: &&Value| {
            let version = entry["version"].as_str().unwrap_or_default();
            version.starts_with("dev-") || version.ends_with("-dev")
        };
        let entries = package
            .versions
            .iter()
            .filter(|entry| is_dev(entry) == dev)
            .cloned();
        let document = json!({"packages": {name: entries.collect::<Vec<Value>>()}});
        Some((package.revision, document))
    }
}

fn answer(state: &Mutex<State>, request: &Request) -> Response {
    let (response, disturbance, delay) = {
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let disturbance = state
            .disturbances
            .iter()
            .find(|(path, _)| request.path.starts_with(path.as_str()));
        let disturbance = disturbance.map(|(_, change)| Arc::clone(change));
        (regular(&state, request), disturbance, state.delay)
    };
    thread::sleep(delay);
    match disturbance {
        Some(change) => change(request, response),
        None => response,
    }
}

fn regular(state: &State, request: &Request) -> Response {
    if let Some(zip) = state.archives.get(&request.path) {
        return Response::new(200, "application/zip", zip.clone());
    }
    let Some((revision, document)) = state.document(&request.path) else {
        return Response::not_found();
    };
    let date = http_date(revision);
    let response = if request.header("if-modified-since") == Some(&date) {
        Response::not_modified()
    } else {
        Response::new(200, "application/json", document.to_string())
    };
    response.with_header("Last-Modified", &date)
}

/// So many seconds into the first of January 2024.
fn http_date(second: u32) -> String {
    let (hours, minutes, seconds) = (second / 3600, second / 60 % 60, second % 60);
    format!("Mon, 01 Jan 2024 {hours:02}:{minutes:02}:{seconds:02} GMT")
}

/// Where the archive of a version lies in the repository.
pub(crate) fn archive_path(package: &str, version: &str) -> String {
    format!("/dist/{package}/{version}.zip")
}

/// A zip with a `composer.json` and `padding` bytes that do not compress.
pub(crate) fn archive(package: &str, version: &str, padding: usize) -> Vec<u8> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .last_modified_time(DateTime::default());
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("composer.json", options).unwrap();
    let manifest = json!({"name": package, "version": version});
    zip.write_all(manifest.to_string().as_bytes()).unwrap();
    zip.start_file("padding", options).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let noise = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let noise: Vec<u8> = noise.flatten().take(padding).collect();
    zip.write_all(&noise).unwrap();
    zip.finish().unwrap().into_inner()
}
