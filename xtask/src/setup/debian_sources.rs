//! Upstream trees of PHP libraries, from Debian's source packages.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use package_broker_e2e::cache::Cache;
use package_broker_e2e::debian;
use package_broker_e2e::process::tethered;
use package_broker_e2e::tree::{PackageTree, files_below};

use super::apt::{Index, PrivateApt};
use crate::process::{quiet, step};

/// The list in `e2e/php-packages.txt` was drawn up for this release.
const SUITE: &str = "bookworm";

/// Downloads and unpacks what is missing, and returns every package found in the trees.
/// Fewer than the suite needs is an error that tells the numbers.
pub(crate) fn ensure() -> Result<Vec<PackageTree>> {
    let cache = Cache::from_environment()?;
    let wanted: Vec<&str> = debian::source_packages().collect();
    let missing = without_present(&cache, &wanted);
    if !missing.is_empty() {
        get(&cache, &missing)?;
    }
    let lost = without_present(&cache, &wanted);
    let packages = debian::packages(&cache).with_context(|| {
        format!(
            "{} of {} Debian source packages came; missing: {}",
            wanted.len() - lost.len(),
            wanted.len(),
            lost.join(" ")
        )
    })?;
    step(format!(
        "{} PHP packages from {} of {} Debian sources{}",
        packages.len(),
        wanted.len() - lost.len(),
        wanted.len(),
        if lost.is_empty() {
            String::new()
        } else {
            format!(" (without {})", lost.join(" "))
        }
    ));
    Ok(packages)
}

/// The packages of some of the sources, as far as they come.
pub(crate) fn available(sources: &[&'static str]) -> Result<Vec<PackageTree>> {
    let cache = Cache::from_environment()?;
    let missing = without_present(&cache, sources);
    if !missing.is_empty() {
        get(&cache, &missing)?;
    }
    debian::available(&cache, sources)
}

fn get(cache: &Cache, missing: &[&'static str]) -> Result<()> {
    let apt = PrivateApt::open(cache, SUITE, Index::Sources)?;
    let root = cache.debian_sources();
    fs::create_dir_all(&root)?;
    let known = apt.known_sources(missing)?;
    if known.is_empty() {
        return Ok(());
    }
    step(format!(
        "downloading {} Debian sources of PHP libraries",
        known.len()
    ));
    if download(&apt, &known, &root)? {
        return Ok(());
    }
    apt.update()?;
    download(&apt, &without_present(cache, &known), &root)?;
    Ok(())
}

/// Downloads and unpacks; whether all of them came.
fn download(apt: &PrivateApt, names: &[&str], root: &Path) -> Result<bool> {
    let work = tempfile::Builder::new()
        .prefix(".unpack-")
        .tempdir_in(root)?;
    let outcome = apt.download_sources(names, work.path())?;
    for archive in files_below(work.path())? {
        let file = archive.to_str().unwrap_or_default();
        if let Some((name, version)) = debian::upstream_version(file) {
            unpack(
                &work.path().join(&archive),
                &root.join(format!("{name}_{version}")),
            )?;
        }
    }
    Ok(outcome.status.success())
}

fn unpack(archive: &Path, target: &Path) -> Result<()> {
    let work = archive.with_extension("tree");
    fs::create_dir(&work)?;
    let mut command = tethered("tar");
    command.args([
        "--extract",
        "--no-same-owner",
        "--strip-components=1",
        "--file",
    ]);
    command.arg(archive).arg("--directory").arg(&work);
    quiet(command)?;
    fs::rename(&work, target).with_context(|| format!("cannot make {}", target.display()))
}

fn without_present<'n>(cache: &Cache, names: &[&'n str]) -> Vec<&'n str> {
    let entries = fs::read_dir(cache.debian_sources())
        .into_iter()
        .flatten()
        .flatten();
    let present: BTreeSet<String> = entries
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .rsplit_once('_')
                .map(|(name, _)| name.to_owned())
        })
        .collect();
    names
        .iter()
        .copied()
        .filter(|name| !present.contains(*name))
        .collect()
}
