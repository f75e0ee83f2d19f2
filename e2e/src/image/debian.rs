//! Images made of the Debian packages that this machine has installed: their files, and those of what they depend on.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{Entry, Image};
use crate::process::{run, tethered};

const LIMIT: Duration = Duration::from_mins(2);
/// Folders that are links into /usr.
const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// Adds packages and what they depend on.
///
/// # Errors
/// If one is not installed.
pub(super) fn add(image: &mut Image, packages: &[&str]) -> Result<()> {
    for name in MERGED {
        image.add(&format!("/{name}"), Entry::Link(format!("usr/{name}")));
    }
    for package in closure(packages)? {
        add_package(image, &package)?;
    }
    // What the scripts of packages make.
    for tree in ["/etc/php", "/etc/alternatives"] {
        if Path::new(tree).is_dir() {
            image.add_tree(tree, Path::new(tree))?;
        }
    }
    for file in [
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/ld.so.cache",
        "/usr/bin/sh",
        "/usr/bin/php",
        "/usr/bin/awk",
    ] {
        add_path(image, Path::new(file))?;
    }
    image.add("/tmp", Entry::Folder(0o1777));
    Ok(())
}

fn closure(packages: &[&str]) -> Result<BTreeSet<String>> {
    let mut depends = tethered("apt-cache");
    depends
        .args([
            "depends",
            "--recurse",
            "--installed",
            "--no-recommends",
            "--no-suggests",
        ])
        .args([
            "--no-conflicts",
            "--no-breaks",
            "--no-replaces",
            "--no-enhances",
        ])
        .args(packages);
    let said = run(depends, LIMIT)?.success()?.stdout;
    // Names of packages stand at the beginning of lines; those in angle brackets are virtual.
    let names = said
        .lines()
        .filter(|line| !line.starts_with([' ', '<', '|']));
    let mut query = tethered("dpkg-query");
    query
        .args(["--show", "--showformat", "${Package} ${db:Status-Status}\n"])
        .args(names);
    let listing = run(query, LIMIT)?.stdout;
    let installed = listing
        .lines()
        .filter_map(|line| line.strip_suffix(" installed"));
    let installed: BTreeSet<String> = installed.map(str::to_owned).collect();
    for package in packages {
        ensure!(
            installed.contains(*package),
            "the Debian package {package} is not installed"
        );
    }
    Ok(installed)
}

fn add_package(image: &mut Image, package: &str) -> Result<()> {
    let mut list = tethered("dpkg-query");
    list.args(["--listfiles", package]);
    for path in run(list, LIMIT)?.success()?.stdout.lines() {
        let is_text = ["/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/"]
            .iter()
            .any(|folder| path.starts_with(folder));
        if !is_text && path.starts_with('/') && path.len() > 1 {
            add_path(image, Path::new(path))?;
        }
    }
    Ok(())
}

/// Adds what is at a path, if anything is, under the name that does not lead through the merged folders.
fn add_path(image: &mut Image, path: &Path) -> Result<()> {
    let Ok(metadata) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let at = unmerged(path)?;
    let at = at.to_string_lossy();
    if MERGED.contains(&at.trim_matches('/')) {
        return Ok(());
    }
    if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        image.add(&at, Entry::Link(target.to_string_lossy().into_owned()));
    } else if metadata.is_dir() {
        image.add(&at, Entry::Folder(0o755));
    } else if metadata.is_file() {
        use std::os::unix::fs::PermissionsExt;
        let mode = metadata.permissions().mode() & 0o777;
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        image.add(&at, Entry::File(mode, bytes));
    }
    Ok(())
}

fn unmerged(path: &Path) -> Result<PathBuf> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Ok(path.to_owned());
    };
    Ok(fs::canonicalize(parent)?.join(name))
}
