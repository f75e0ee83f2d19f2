//! The programs of a cluster, built once from the Go modules in `e2e/cluster/`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use sha1::{Digest, Sha1};

use crate::{
    cache::Cache,
    process::{ChildGroup, describe, tethered},
};

/// The release of Kubernetes in `e2e/cluster/kubernetes/go.mod`.
const KUBERNETES: (&str, &str) = ("1", "37");
const KUBERNETES_VERSION: &str = "v1.37.2";
/// A first build on a slow machine, downloads included.
const BUILD_LIMIT: Duration = Duration::from_hours(1);

/// Folders of built programs.
#[derive(Clone, Debug)]
pub struct Programs {
    kubernetes: PathBuf,
    addons: PathBuf,
}

impl Programs {
    /// Those in the cache; what is missing is built first, and `say` is told so.
    ///
    /// # Errors
    /// If Go is missing or a build fails.
    pub fn ensure(say: super::Progress<'_>) -> Result<Self> {
        let modules = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster");
        let kubernetes = build(
            &modules.join("kubernetes"),
            &["tool"],
            &kubernetes_flags(),
            say,
        )?;
        let addons = build(&modules.join("addons"), &["tool", "./pause"], "-s -w", say)?;
        Ok(Self { kubernetes, addons })
    }

    pub(super) fn etcd(&self) -> PathBuf {
        self.kubernetes.join("server")
    }

    pub(super) fn kubernetes(&self, program: &str) -> PathBuf {
        self.kubernetes.join(program)
    }

    /// `kubectl`.
    pub fn kubectl(&self) -> PathBuf {
        self.kubernetes.join("kubectl")
    }

    pub(super) fn coredns(&self) -> PathBuf {
        self.addons.join("coredns")
    }

    pub(super) fn pause(&self) -> PathBuf {
        self.addons.join("pause")
    }

    /// `helm`.
    pub fn helm(&self) -> PathBuf {
        self.addons.join("helm")
    }
}

fn kubernetes_flags() -> String {
    let (major, minor) = KUBERNETES;
    let version = "k8s.io/component-base/version";
    format!(
        "-s -w -X {version}.gitVersion={KUBERNETES_VERSION} -X {version}.gitMajor={major} -X {version}.gitMinor={minor}"
    )
}

/// Builds the tools of a module into a folder of the cache that is named after all that goes into them.
fn build(
    module: &Path,
    packages: &[&str],
    flags: &str,
    say: super::Progress<'_>,
) -> Result<PathBuf> {
    let name = module.file_name().unwrap_or_default().to_string_lossy();
    let mut hash = Sha1::new();
    for file in ["go.mod", "go.sum"] {
        let path = module.join(file);
        hash.update(fs::read(&path).with_context(|| path.display().to_string())?);
    }
    hash.update(flags);
    let key = hex::encode(hash.finalize());
    let tools = Cache::from_environment()?.tools();
    let folder = tools.join(format!("{name}-{}", &key[..12]));
    if folder.is_dir() {
        return Ok(folder);
    }
    say(&format!(
        "building the programs of {name} into the cache, once; this takes some minutes"
    ));
    // A folder of its own until all of it is there.
    let unfinished = tools.join(format!("{name}.unfinished"));
    let _ = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(&unfinished)?;
    let mut go = tethered("go");
    go.args(["build", "-trimpath", "-ldflags", flags, "-o"])
        .arg(&unfinished)
        .args(packages)
        .current_dir(module)
        .env("CGO_ENABLED", "0")
        .env("GOFLAGS", "-mod=readonly");
    let line = describe(&go);
    let status = ChildGroup::spawn(&line, go)
        .and_then(|mut child| child.wait(BUILD_LIMIT))
        .context("Go 1.26 or newer is needed to build a cluster")?;
    ensure!(status.success(), "`{line}` ended with {status}");
    fs::rename(&unfinished, &folder)?;
    Ok(folder)
}
