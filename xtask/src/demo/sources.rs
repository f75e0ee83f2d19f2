//! The three sources of the demo, made from a selection.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;
use package_broker_e2e::archive::zip_artifact;
use package_broker_e2e::composer_repository::StaticComposerRepository;
use package_broker_e2e::git::GitServer;
use package_broker_e2e::manifests::Manifests;
use serde_json::json;

use super::packages::Selection;
use crate::process::step;

/// Running sources; dropping them ends their servers.
pub(super) struct Sources {
    git: GitServer,
    git_names: Vec<String>,
    composer: StaticComposerRepository,
    artifacts: PathBuf,
}

impl Sources {
    /// Makes git repositories and an artifact folder below `folder`, and starts the servers.
    pub(super) fn start(folder: &Path, selection: &Selection) -> Result<Self> {
        let (git_folder, artifacts) = (folder.join("git"), folder.join("artifacts"));
        fs::create_dir_all(&git_folder)?;
        fs::create_dir_all(&artifacts)?;
        let git = GitServer::start(&git_folder)?;
        let mut git_names = Vec::new();
        for tree in &selection.git {
            let repository = git.create(&tree.name)?;
            repository.commit("main", &tree.path, &format!("Version {}", tree.version), 0)?;
            repository.tag(&format!("v{}", tree.version), "main")?;
            step(format!(
                "git repository {}, tag v{}",
                git.url(&tree.name),
                tree.version
            ));
            git_names.push(tree.name.clone());
        }
        let composer = StaticComposerRepository::start(&selection.composer)?;
        step(format!(
            "Composer repository {}: {}",
            composer.url(),
            names(&selection.composer)
        ));
        for tree in &selection.artifacts {
            let file = format!("{}-{}.zip", tree.name.replace('/', "-"), tree.version);
            fs::write(artifacts.join(file), zip_artifact(tree)?)?;
        }
        step(format!(
            "artifact folder target/demo/sources/artifacts: {}",
            names(&selection.artifacts)
        ));
        Ok(Self {
            git,
            git_names,
            composer,
            artifacts,
        })
    }

    /// Manifests that name all of them.
    pub(super) fn manifests(&self) -> Manifests {
        let none = json!({});
        let manifests = Manifests::on_loopback()
            .repository("mirror", "composer", &self.composer.url(), &none)
            .repository(
                "artifacts",
                "artifact",
                &self.artifacts.to_string_lossy(),
                &none,
            );
        self.git_names.iter().fold(manifests, |manifests, name| {
            manifests.repository(&name.replace('/', "-"), "git", &self.git.url(name), &none)
        })
    }
}

fn names(trees: &[package_broker_e2e::tree::PackageTree]) -> String {
    trees
        .iter()
        .map(|tree| tree.name.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
