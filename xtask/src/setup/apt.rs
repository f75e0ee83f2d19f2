//! An apt of our own: packages and sources of any Debian suite, downloaded but never installed.
//!
//! Its lists, cache and sources lie in our cache folder; nothing below `/etc/apt` or `/var` is
//! touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use package_broker_e2e::cache::Cache;
use package_broker_e2e::process::{Finished, tethered};

use super::mirror;
use crate::process::{attempt, quiet, step};

/// What an index describes.
#[derive(Clone, Copy)]
pub(crate) enum Index {
    /// Binary packages.
    Packages,
    /// Source packages.
    Sources,
}

/// apt, restricted to one suite of this machine's Debian mirror.
pub(crate) struct PrivateApt {
    suite: &'static str,
    root: PathBuf,
}

impl PrivateApt {
    /// Prepares the folders and reads the lists if there are none yet.
    pub(crate) fn open(cache: &Cache, suite: &'static str, index: Index) -> Result<Self> {
        let root = cache.apt(suite);
        for folder in [
            "lists/partial",
            "cache/archives/partial",
            "sources.d",
            "preferences.d",
        ] {
            fs::create_dir_all(root.join(folder))
                .with_context(|| format!("cannot make {}", root.join(folder).display()))?;
        }
        let mirror = mirror::find()?;
        let kind = match index {
            Index::Packages => "deb",
            Index::Sources => "deb-src",
        };
        let signed_by = mirror
            .signed_by
            .map(|key| format!("Signed-By: {key}\n"))
            .unwrap_or_default();
        let stanza = format!(
            "Types: {kind}\nURIs: {}\nSuites: {suite}\nComponents: main\n{signed_by}",
            mirror.uri
        );
        fs::write(root.join("sources.d/debian.sources"), stanza)?;
        let apt = Self { suite, root };
        if !apt.has_lists() {
            apt.update()?;
        }
        Ok(apt)
    }

    /// Reads the suite's package lists again.
    pub(crate) fn update(&self) -> Result<()> {
        step(format!(
            "reading the package lists of Debian {}",
            self.suite
        ));
        let mut command = self.command("apt-get");
        command.arg("update");
        quiet(command)?;
        Ok(())
    }

    /// Names of `package` and all packages it depends on, directly or not.
    pub(crate) fn closure(&self, package: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        command.args([
            "depends",
            "--recurse",
            "--no-recommends",
            "--no-suggests",
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
            package,
        ]);
        let listing = quiet(command)?.stdout;
        let mut names: Vec<String> = listing
            .lines()
            .filter(|line| !line.starts_with([' ', '|', '<']))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Names of all packages that begin with `prefix`.
    pub(crate) fn names_from(&self, prefix: &str) -> Result<Vec<String>> {
        let mut command = self.command("apt-cache");
        command.args(["pkgnames", prefix]);
        Ok(quiet(command)?.stdout.lines().map(str::to_owned).collect())
    }

    /// Downloads the `.deb` files of `names` into `folder`; once more after an update when the
    /// mirror has moved on since the lists were read.
    pub(crate) fn download(&self, names: &[String], folder: &Path) -> Result<()> {
        let download = || {
            let mut command = self.command("apt-get");
            command.arg("download").args(names).current_dir(folder);
            command
        };
        if attempt(download())?.status.success() {
            return Ok(());
        }
        self.update()?;
        quiet(download())?;
        Ok(())
    }

    /// Those of `names` that the suite has as source packages.
    pub(crate) fn known_sources<'n>(&self, names: &[&'n str]) -> Result<Vec<&'n str>> {
        let mut command = self.command("apt-cache");
        command.args(["showsrc", "--only-source"]).args(names);
        let listing = attempt(command)?.stdout;
        let known = |name: &str| {
            listing
                .lines()
                .any(|line| line == format!("Package: {name}"))
        };
        Ok(names.iter().copied().filter(|name| known(name)).collect())
    }

    /// Downloads the upstream tarballs of source packages into `folder`. Some may not come; the
    /// others do all the same.
    pub(crate) fn download_sources(&self, names: &[&str], folder: &Path) -> Result<Finished> {
        let mut command = self.command("apt-get");
        command
            .args(["source", "--download-only", "--tar-only"])
            .args(names)
            .current_dir(folder);
        attempt(command)
    }

    fn has_lists(&self) -> bool {
        let entries = fs::read_dir(self.root.join("lists"))
            .into_iter()
            .flatten()
            .flatten();
        entries.into_iter().any(|entry| {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            name.contains("_Packages") || name.contains("_Sources")
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = tethered(program);
        for (option, value) in [
            ("Dir::Etc::sourcelist", Path::new("/dev/null").to_owned()),
            ("Dir::Etc::sourceparts", self.root.join("sources.d")),
            ("Dir::Etc::preferences", Path::new("/dev/null").to_owned()),
            (
                "Dir::Etc::preferencesparts",
                self.root.join("preferences.d"),
            ),
            ("Dir::State::lists", self.root.join("lists")),
            ("Dir::Cache", self.root.join("cache")),
        ] {
            command
                .arg("-o")
                .arg(format!("{option}={}", value.display()));
        }
        command.args([
            "-o",
            "APT::Sandbox::User=root",
            "-o",
            "Acquire::Languages=none",
        ]);
        command.env("LC_ALL", "C.UTF-8");
        command
    }
}
