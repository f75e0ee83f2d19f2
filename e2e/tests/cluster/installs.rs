//! What suites with Composer share: sources of real packages, projects, and how a new version comes.

use std::time::Instant;

use package_broker_e2e::{cache::Cache, debian, git::GitServer};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    manifests::repository,
    support::{Team, git_server},
};

/// A git server that pods reach, with packages of Debian.
pub(crate) struct Sources {
    server: GitServer,
    folder: TempDir,
    names: Vec<String>,
}

impl Sources {
    /// One git repository for each of these packages.
    pub(crate) fn of_debian(packages: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = git_server(folder.path());
        let cache = Cache::from_environment().unwrap();
        let mut names = Vec::new();
        for package in debian::available(&cache, packages).unwrap() {
            let source = server.create(&package.name).unwrap();
            source.commit("main", &package.path, "import", 0).unwrap();
            source.tag(&package.version, "main").unwrap();
            names.push(package.name);
        }
        Self {
            server,
            folder,
            names,
        }
    }

    /// A Repository for each.
    pub(crate) fn repositories(&self) -> Vec<Value> {
        let of = |name: &String| repository(&name.replace('/', "-"), &self.server.url(name));
        self.names.iter().map(of).collect()
    }

    /// What `kubectl` calls these.
    pub(crate) fn objects(&self) -> Vec<String> {
        let of = |name: &String| format!("repository/{}", name.replace('/', "-"));
        self.names.iter().map(of).collect()
    }
}

/// A project that takes all it needs from the broker.
pub(crate) fn project(team: &Team, require: &Value) -> Value {
    json!({
        "repositories": [
            {"type": "composer", "url": format!("http://main.{}.svc", team.name())},
            {"packagist.org": false},
        ],
        "require": require,
        "config": {"secure-http": false},
        "minimum-stability": "stable",
    })
}

/// A commit and an annotation: how long until the version is installable.
pub(crate) fn new_version(team: &Team, sources: &Sources) {
    let server = &sources.server;
    let source = server.create("acme/fresh").unwrap();
    let tree = sources.folder.path().join("fresh");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(
        tree.join("composer.json"),
        json!({"name": "acme/fresh", "autoload": {"files": []}}).to_string(),
    )
    .unwrap();
    source.commit("main", &tree, "first", 1).unwrap();
    source.tag("1.0.0", "main").unwrap();
    team.apply(&[repository("fresh", &server.url("acme/fresh"))])
        .unwrap();
    team.wait_ready(&["repository/fresh"]).unwrap();

    source.tag("1.1.0", "main").unwrap();
    let began = Instant::now();
    let request = "reconcile.fluxcd.io/requestedAt=now";
    team.kubectl(&["annotate", "repository", "fresh", request])
        .unwrap();
    Team::wait_for("the handled request", || {
        let object = team.get("repository", "fresh")?;
        Ok((object["status"]["lastHandledReconcileAt"] == "now").then_some(()))
    })
    .unwrap();
    println!(
        "a new version is served {:?} after it was asked for",
        began.elapsed()
    );
    let said = team
        .composer(
            "update",
            &project(team, &json!({"acme/fresh": "^1.1"})),
            "ci",
            "composer update --no-interaction --no-progress 2>&1\n",
        )
        .unwrap();
    assert!(said.contains("Installing acme/fresh (1.1.0)"), "{said}");
}
