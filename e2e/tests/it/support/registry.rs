//! A running broker whose tokens and manifests the test knows.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use package_broker_e2e::broker::{Broker, package_broker};
use package_broker_e2e::http::{Answer, Call, get};
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::process::Finished;
use package_broker_e2e::tree::files_below;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::drivers::{declare, servers};
use super::{eventually, json as json_of};
use crate::replicas::installation::Installation;

/// The public URL of every registry here: the same after a restart, when the port is another.
pub(crate) const URL: &str = "https://packages.example.com/team";

/// How long a replica may take to follow what another process changed, with time for a busy machine.
const FOLLOWED: Duration = Duration::from_millis(1_500);

/// A broker with one manifest file that can be edited.
pub(crate) struct Registry {
    // Dropped before its folder and its servers.
    pub(crate) broker: Broker,
    servers: Option<Installation>,
    manifests: Manifests,
    arguments: &'static [&'static str],
    edits: u32,
    folder: TempDir,
}

/// Manifests of a broker that may read from loopback, with the public URL [`URL`] and the token
/// `all`; `more` (an object) adds to the spec of the broker.
pub(crate) fn manifests(more: &Value) -> Manifests {
    let manifests = Manifests::on_loopback().patched(
        "PackageBroker",
        Manifests::BROKER,
        &json!({"externalUrl": URL}),
    );
    let manifests = manifests.patched("PackageBroker", Manifests::BROKER, more);
    with_token(manifests, "all", &json!({}))
}

/// Adds an `AccessToken` whose secret is [`secret`] of its name; `spec` (an object) says more.
pub(crate) fn with_token(manifests: Manifests, name: &str, spec: &Value) -> Manifests {
    let own = json!({
        "brokerRef": {"name": Manifests::BROKER},
        "existingSecretRef": {"name": name},
    });
    manifests
        .secret(name, &json!({"token": secret(name)}))
        .with("AccessToken", name, &own)
        .patched("AccessToken", name, spec)
}

/// The secret of a token made by [`with_token`].
pub(crate) fn secret(token: &str) -> String {
    format!("{token:-<40}")
}

/// `Authorization` of a client that has the secret as password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

impl Registry {
    /// Starts and waits for the first sync of every repository.
    pub(crate) fn start(manifests: &Manifests) -> Self {
        let registry = Self::start_unready(manifests);
        registry.wait_until_ready();
        registry
    }

    /// Starts and waits for nothing but the port.
    pub(crate) fn start_unready(manifests: &Manifests) -> Self {
        Self::start_with(manifests, &[])
    }

    /// The same in a folder of the test's: the data will be in `data` in it.
    pub(crate) fn start_in(folder: TempDir, manifests: &Manifests) -> Self {
        let registry = Self::launch(folder, manifests, &[]);
        registry.wait_until_ready();
        registry
    }

    /// The same with more arguments for `package-broker run`.
    pub(crate) fn start_with(manifests: &Manifests, arguments: &'static [&'static str]) -> Self {
        Self::launch(tempfile::tempdir().unwrap(), manifests, arguments)
    }

    fn launch(folder: TempDir, manifests: &Manifests, arguments: &'static [&'static str]) -> Self {
        let file = folder.path().join("manifests.yaml");
        manifests.write_file(&file).unwrap();
        let servers = servers();
        let broker = match &servers {
            Some(servers) => {
                assert!(arguments.is_empty(), "`serve` knows no {arguments:?}");
                declare(servers, manifests, URL);
                servers.serve(Installation::COMMAND)
            }
            None => Broker::start_with(&file, &folder.path().join("data"), arguments).unwrap(),
        };
        Self {
            broker,
            servers,
            manifests: manifests.clone(),
            arguments,
            edits: 0,
            folder,
        }
    }

    /// Waits until `/readyz` says so.
    pub(crate) fn wait_until_ready(&self) {
        let url = format!("{}/readyz", self.broker.metrics_url());
        eventually("/readyz", || {
            let answer = get(&url, &[]).unwrap();
            (answer.status == 200).then_some(())
        });
    }

    /// The folder of the test.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data folder of the broker.
    pub(crate) fn data(&self) -> PathBuf {
        self.broker.data().to_owned()
    }

    /// Runs a command of `package-broker` on what the broker stored.
    pub(crate) fn command(&self, name: &str, more: &[&str]) -> Finished {
        if let Some(servers) = &self.servers {
            return servers.run(&[&[name], more].concat());
        }
        let data = self.data();
        let mut arguments: Vec<&OsStr> = vec![name.as_ref(), "--data".as_ref(), data.as_ref()];
        arguments.extend(more.iter().map(OsStr::new));
        package_broker(&arguments).unwrap()
    }

    /// Whole archives in its storage.
    pub(crate) fn blobs(&self) -> Vec<PathBuf> {
        match &self.servers {
            Some(servers) => servers.objects(),
            None => files_in(&self.data().join("storage/blobs")),
        }
    }

    /// Archives in its storage that are being written, or were when it was killed.
    pub(crate) fn staged(&self) -> Vec<PathBuf> {
        match &self.servers {
            Some(servers) => servers.uploads(),
            None => files_in(&self.data().join("storage/staging")),
        }
    }

    /// The manifest file.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.path().join("manifests.yaml")
    }

    /// What it runs with.
    pub(crate) fn manifests(&self) -> &Manifests {
        &self.manifests
    }

    /// Ends it as a user would, and starts it again on what it stored.
    pub(crate) fn restart(&mut self) {
        self.restart_unready();
        self.wait_until_ready();
    }

    /// The same without waiting for first syncs.
    pub(crate) fn restart_unready(&mut self) {
        let status = self.broker.terminate(super::PATIENCE).unwrap();
        assert!(status.success(), "{status}: {}", self.broker.log());
        self.start_again();
    }

    /// Starts it again on what it stored, after it ended.
    pub(crate) fn start_again(&mut self) {
        self.broker = match &self.servers {
            Some(servers) => {
                declare(servers, &self.manifests, URL);
                servers.serve(Installation::COMMAND)
            }
            None => Broker::start_with(&self.file(), &self.data(), self.arguments).unwrap(),
        };
    }

    /// Changes the manifests and waits until they are in force.
    pub(crate) fn edit(&mut self, manifests: &Manifests) {
        if let Some(servers) = &self.servers {
            declare(servers, manifests, URL);
            self.manifests = manifests.clone();
            thread::sleep(FOLLOWED);
            return;
        }
        let said = "the changed manifests are in force";
        let before = self.said(&[said]);
        manifests.write_file(&self.file()).unwrap();
        self.manifests = manifests.clone();
        eventually(said, || (self.said(&[said]) > before).then_some(()));
    }

    /// Changes the spec of one document and waits until that is in force.
    pub(crate) fn patch(&mut self, kind: &str, name: &str, patch: &Value) {
        let manifests = self.manifests.clone().patched(kind, name, patch);
        self.edit(&manifests);
    }

    /// Puts other text into the manifest file, in one step, and waits for nothing.
    pub(crate) fn write(&self, text: &str) {
        let new = self.folder.path().join("manifests.new");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(&new, self.file()).unwrap();
    }

    /// Has a repository synced now, by a change of its manifest that means nothing, and waits
    /// until it was.
    pub(crate) fn sync(&mut self, repository: &str) {
        if let Some(servers) = &self.servers {
            servers.sync(repository);
            thread::sleep(FOLLOWED);
            return;
        }
        self.edits += 1;
        let timeout = format!("{}s", 600 + self.edits);
        let words = ["synced", &format!("repository={repository}")];
        let before = self.said(&words);
        self.patch(
            "Repository",
            repository,
            &json!({"sync": {"timeout": timeout}}),
        );
        eventually("the end of the sync", || {
            (self.said(&words) > before).then_some(())
        });
    }

    /// How many lines of its log hold all of these words.
    pub(crate) fn said(&self, words: &[&str]) -> usize {
        let log = self.broker.log();
        log.lines()
            .filter(|line| words.iter().all(|word| line.contains(word)))
            .count()
    }

    /// A request of that path, without credentials.
    pub(crate) fn anonymous(&self, method: &str, path: &str) -> Call {
        Call::new(method, &format!("{}{path}", self.broker.url()))
    }

    /// A request of that path as that token.
    pub(crate) fn call(&self, token: &str, method: &str, path: &str) -> Call {
        self.anonymous(method, path)
            .header("Authorization", &basic("token", &secret(token)))
    }

    /// GET of a path as that token.
    pub(crate) fn get(&self, token: &str, path: &str) -> Answer {
        self.call(token, "GET", path).send().unwrap()
    }

    /// GET of a path as that token, by so many clients at the same time.
    pub(crate) fn together(&self, clients: usize, token: &str, path: &str) -> Vec<Answer> {
        let start = Barrier::new(clients);
        let ask = || {
            start.wait();
            self.get(token, path)
        };
        thread::scope(|scope| {
            let asking: Vec<_> = (0..clients).map(|_| scope.spawn(ask)).collect();
            asking
                .into_iter()
                .map(|client| client.join().unwrap())
                .collect()
        })
    }

    /// The stable versions of a package as that token sees them, as clients read them.
    pub(crate) fn document(&self, token: &str, package: &str) -> Vec<Value> {
        self.read_document(token, &format!("/p2/{package}.json"), package)
    }

    /// The same of its branches.
    pub(crate) fn branches(&self, token: &str, package: &str) -> Vec<Value> {
        self.read_document(token, &format!("/p2/{package}~dev.json"), package)
    }

    fn read_document(&self, token: &str, path: &str, package: &str) -> Vec<Value> {
        let answer = self.get(token, path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        expanded(&json_of(&answer), package)
    }

    /// The path of the archive of a version, from the metadata.
    pub(crate) fn archive_of(&self, token: &str, package: &str, version: &str) -> String {
        let versions = self.document(token, package);
        let entry = versions.iter().find(|entry| entry["version"] == version);
        let entry = entry.unwrap_or_else(|| panic!("{package} has no {version}: {versions:?}"));
        archive_in(entry)
    }
}

/// The path of the archive that a version names.
pub(crate) fn archive_in(version: &Value) -> String {
    let url = version["dist"]["url"].as_str().unwrap();
    let path = url.strip_prefix(URL).unwrap_or_else(|| panic!("{url}"));
    let reference = version["dist"]["reference"].as_str().unwrap_or_default();
    path.replace("%reference%", reference)
}

/// The versions of a package document in full (protocol A.3).
pub(crate) fn expanded(document: &Value, package: &str) -> Vec<Value> {
    let entries = document["packages"][package].as_array();
    let entries = entries.unwrap_or_else(|| panic!("{package} is not in {document}"));
    if document["minified"] != "composer/2.0" {
        return entries.clone();
    }
    let mut current = serde_json::Map::new();
    let mut all = Vec::new();
    for entry in entries {
        for (key, value) in entry.as_object().into_iter().flatten() {
            if value == "__unset" {
                current.remove(key);
            } else {
                current.insert(key.clone(), value.clone());
            }
        }
        all.push(Value::Object(current.clone()));
    }
    all
}

/// Every file below a folder, sorted.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let files = files_below(folder).unwrap();
    files.iter().map(|file| folder.join(file)).collect()
}
