//! A small world: one package from each kind of source, a broker, and projects.

use std::path::Path;
use std::time::Duration;

use package_broker_e2e::archive::zip_artifact;
use package_broker_e2e::composer::{ComposerProject, ComposerVersion};
use package_broker_e2e::composer_repository::StaticComposerRepository;
use package_broker_e2e::git::GitServer;
use package_broker_e2e::manifests::Manifests;
use package_broker_e2e::tree::PackageTree;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::drivers::Running;

const SYNC_LIMIT: Duration = Duration::from_mins(1);

/// `acme/lib` from git (1.0.0, 1.1.0, 2.0.0, `main`), `acme/log` from a Composer repository
/// (1.0.0, 1.1.0), `acme/kit` from an artifact folder (1.0.0; requires `^1.0` of both).
pub(crate) struct World {
    // Fields are dropped in this order: the broker before what it reads.
    pub(crate) broker: Running,
    pub(crate) git: GitServer,
    pub(crate) upstream: StaticComposerRepository,
    folder: TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let git = git_repository(root);
        let upstream = composer_repository(root);
        let artifacts = artifact_folder(root);
        let manifests = Manifests::on_loopback()
            .repository("lib", "git", &git.url("acme/lib"), &json!({}))
            .repository("upstream", "composer", &upstream.url(), &json!({}))
            .repository(
                "artifacts",
                "artifact",
                artifacts.to_str().unwrap(),
                &json!({}),
            );
        let mut broker = Running::start(&manifests, root);
        broker
            .wait_for_packages(
                Manifests::TOKEN,
                ["acme/lib", "acme/log", "acme/kit"],
                SYNC_LIMIT,
            )
            .unwrap();
        Self {
            broker,
            git,
            upstream,
            folder,
        }
    }

    /// A project that requires `require`, with a token that may read everything.
    pub(crate) fn project(&self, version: ComposerVersion, require: &Value) -> ComposerProject {
        let project = self.project_without_token(version, require);
        project
            .authenticate(&self.broker.auth_json(Manifests::TOKEN))
            .unwrap();
        project
    }

    /// The same, but the client has no credentials.
    pub(crate) fn project_without_token(
        &self,
        version: ComposerVersion,
        require: &Value,
    ) -> ComposerProject {
        let directory = self.folder.path().join("project");
        let extra = json!({"require": require});
        ComposerProject::create(version, &directory, self.broker.url(), &extra).unwrap()
    }
}

fn git_repository(root: &Path) -> GitServer {
    let folder = root.join("git");
    std::fs::create_dir(&folder).unwrap();
    let git = GitServer::start(&folder).unwrap();
    let repository = git.create("acme/lib").unwrap();
    let tree = root.join("lib");
    for (day, version) in (0..).zip(["1.0.0", "1.1.0", "2.0.0"]) {
        library(&tree, "lib", version, &json!({"php": ">=7.4"}));
        repository.commit("main", &tree, version, day).unwrap();
        repository.tag(&format!("v{version}"), "main").unwrap();
    }
    library(&tree, "lib", "main", &json!({"php": ">=7.4"}));
    repository.commit("main", &tree, "after 2.0.0", 9).unwrap();
    git
}

fn composer_repository(root: &Path) -> StaticComposerRepository {
    let versions = ["1.1.0", "1.0.0"]
        .map(|version| library(&root.join("log").join(version), "log", version, &json!({})));
    StaticComposerRepository::start(&versions).unwrap()
}

fn artifact_folder(root: &Path) -> std::path::PathBuf {
    let folder = root.join("artifacts");
    std::fs::create_dir(&folder).unwrap();
    let require = json!({"acme/lib": "^1.0", "acme/log": "^1.0"});
    let kit = library(&root.join("kit"), "kit", "1.0.0", &require);
    std::fs::write(
        folder.join("acme-kit-1.0.0.zip"),
        zip_artifact(&kit).unwrap(),
    )
    .unwrap();
    folder
}

/// `acme/SHORT` with the class `Acme\SHORT\Info`.
fn library(path: &Path, short: &str, version: &str, require: &Value) -> PackageTree {
    let class = format!("Acme\\{short}\\Info");
    PackageTree::write(path, &format!("acme/{short}"), version, &class, require).unwrap()
}
