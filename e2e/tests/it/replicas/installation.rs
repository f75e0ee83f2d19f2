//! An installation on servers of its own: PostgreSQL, Redis, S3, and as many processes as a test wants.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use package_broker_e2e::broker::{Broker, package_broker, spawn_package_broker};
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::postgres::Postgres;
use package_broker_e2e::process::{ChildGroup, Finished};
use package_broker_e2e::tree::files_below;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::servers::redis::RedisServer;
use crate::servers::s3::S3Server;

/// The bucket that archives are kept in.
const BUCKET: &str = "archives";

/// Servers, settings and manifests.
pub(crate) struct Installation {
    pub(crate) postgres: Arc<Postgres>,
    /// The URL of its database.
    pub(crate) database: String,
    pub(crate) redis: Option<RedisServer>,
    pub(crate) s3: S3Server,
    folder: TempDir,
}

impl Installation {
    /// The name that commands run under.
    pub(crate) const COMMAND: &str = "command";

    /// With Redis. The tables are there; nothing is declared.
    pub(crate) fn new() -> Self {
        Self::with(Some(RedisServer::start()), Postgres::shared().unwrap())
    }

    /// With nothing but a database and a bucket.
    pub(crate) fn without_redis() -> Self {
        Self::with(None, Postgres::shared().unwrap())
    }

    /// On these servers.
    pub(crate) fn with(redis: Option<RedisServer>, postgres: Arc<Postgres>) -> Self {
        let database = postgres.database().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let s3 = S3Server::start();
        fs::create_dir(s3.root().join(BUCKET)).unwrap();
        let this = Self {
            postgres,
            database,
            redis,
            s3,
            folder,
        };
        let keys = this.path("keys");
        let made = generate_keys(&keys);
        assert!(made.status.success(), "{}", made.stderr);
        let migrated = this.run(&["migrate"]);
        assert!(migrated.status.success(), "{}", migrated.stderr);
        this
    }

    /// A path in its folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The settings of a process called `name`, changed by `patch` (a map of settings).
    pub(crate) fn settings(&self, name: &str, patch: &Value) -> PathBuf {
        let mut settings = json!({
            "listen": "127.0.0.1:0",
            "metricsListen": "127.0.0.1:0",
            "data": self.path(name),
            "database": {"url": self.database},
            "storage": {
                "bucket": BUCKET,
                "endpoint": self.s3.endpoint(),
                "pathStyle": true,
                "accessKeyId": S3Server::KEY,
                "secretAccessKey": S3Server::SECRET,
            },
            "encryption": {"keysFile": self.path("keys")},
        });
        if let Some(redis) = &self.redis {
            settings["cache"] = json!({"url": redis.url("", "")});
        }
        for (group, values) in patch.as_object().into_iter().flatten() {
            match values.as_object() {
                Some(values) => {
                    for (key, value) in values {
                        settings[group][key] = value.clone();
                    }
                }
                None => settings[group] = values.clone(),
            }
        }
        let file = self.path(&format!("{name}.settings.json"));
        // Others may be reading it.
        let mut new = tempfile::NamedTempFile::new_in(self.folder.path()).unwrap();
        new.write_all(settings.to_string().as_bytes()).unwrap();
        new.persist(&file).unwrap();
        file
    }

    /// Runs a command with the settings of a process of its own to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Finished {
        let settings = self.settings(Self::COMMAND, &json!({}));
        let mut arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        arguments.extend([OsStr::new("--config"), settings.as_os_str()]);
        package_broker(&arguments).unwrap()
    }

    /// Starts the same and waits for nothing.
    pub(crate) fn spawn(&self, arguments: &[&str]) -> ChildGroup {
        let settings = self.settings(Self::COMMAND, &json!({}));
        let mut arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
        arguments.extend([OsStr::new("--config"), settings.as_os_str()]);
        spawn_package_broker(&arguments).unwrap()
    }

    /// Ends every claim, as time does for those of processes that are gone.
    pub(crate) fn end_claims(&self) {
        self.sql("DELETE FROM claims");
    }

    /// Runs SQL in its database.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let name = self.database.rsplit_once('/').unwrap().1;
        let name = name.split('?').next().unwrap();
        self.postgres.sql(name, statement).unwrap()
    }

    /// Declares manifests, for clients at that URL.
    pub(crate) fn apply(&self, manifests: &Manifests, url: &str) -> Finished {
        let patch = json!({"externalUrl": url});
        let manifests = manifests
            .clone()
            .patched("PackageBroker", Manifests::BROKER, &patch);
        let file = self.path("manifests.yaml");
        manifests.write_file(&file).unwrap();
        let applied = self.run(&["apply", "-f", file.to_str().unwrap()]);
        assert!(applied.status.success(), "{}", applied.stderr);
        applied
    }

    /// Syncs a repository, and what it reported.
    pub(crate) fn sync(&self, repository: &str) -> Value {
        let finished = self.run(&["sync", repository]);
        let report = report(&finished);
        assert_eq!(report["result"], "succeeded", "{}", finished.stdout);
        report
    }

    /// A replica called `name`.
    pub(crate) fn serve(&self, name: &str) -> Broker {
        self.serve_with(name, &json!({}))
    }

    /// The same with other settings.
    pub(crate) fn serve_with(&self, name: &str, patch: &Value) -> Broker {
        let settings = self.settings(name, patch);
        Broker::serve(&settings, &self.path(name)).unwrap()
    }

    /// The folder of its bucket.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.s3.root().join(BUCKET)
    }

    /// The archives in its bucket.
    pub(crate) fn objects(&self) -> Vec<PathBuf> {
        let bucket = self.bucket();
        let keys = files_below(&bucket).unwrap();
        keys.iter().map(|key| bucket.join(key)).collect()
    }

    /// The parts of uploads that are not finished, which the S3 server keeps beside its buckets.
    pub(crate) fn uploads(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.s3.root()).unwrap();
        let is_part = |name: &OsStr| name.to_string_lossy().starts_with(".upload_id-");
        let parts = entries
            .map(|entry| entry.unwrap())
            .filter(|entry| is_part(&entry.file_name()));
        parts.map(|entry| entry.path()).collect()
    }

    /// Where `apply` put the credentials of tokens that it made.
    pub(crate) fn auth_json(&self, token: &str) -> PathBuf {
        self.path(Self::COMMAND)
            .join("tokens")
            .join(token)
            .join("auth.json")
    }
}

/// Makes a key ring, or puts a new key in front of one.
pub(crate) fn generate_keys(file: &Path) -> Finished {
    let arguments = [
        "keys".as_ref(),
        "generate".as_ref(),
        "--file".as_ref(),
        file.as_os_str(),
    ];
    package_broker(&arguments).unwrap()
}

/// The last line that a sync wrote.
pub(crate) fn report(finished: &Finished) -> Value {
    let mut lines = finished.stdout.lines();
    let line = lines.rfind(|line| line.starts_with('{'));
    let line = line.unwrap_or_else(|| panic!("no report: {}", finished.stdout));
    serde_json::from_str(line).unwrap()
}
