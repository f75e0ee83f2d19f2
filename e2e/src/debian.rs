//! Real packages: the upstream trees of PHP libraries that Debian's source packages carry.
//!
//! `cargo xtask test` downloads them through apt into the cache; here they are only found.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::cache::Cache;
use crate::tree::PackageTree;

/// Composer packages the suite needs at least.
pub const MINIMUM: usize = 40;

/// Folders below which a `composer.json` is not that of a package of its own.
const NOT_PACKAGES: [&str; 6] = ["vendor", "vendor-bin", "tests", "test", "fixtures", "ci"];

/// Names of the Debian source packages, from `e2e/php-packages.txt`.
pub fn source_packages() -> impl Iterator<Item = &'static str> {
    include_str!("../php-packages.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// The upstream version of an `.orig` file name without the parts Debian added:
/// `symfony_5.4.53+dfsg.orig.tar.xz` → (`symfony`, `5.4.53`).
pub fn upstream_version(orig: &str) -> Option<(&str, &str)> {
    let (name, rest) = orig.split_once('_')?;
    let (version, _) = rest.split_once(".orig.tar.")?;
    let version = version.split(['+', '~']).next()?;
    Some((name, version))
}

/// Every package in the trees that are in the cache, sorted by name. Fewer than [`MINIMUM`] is
/// an error.
pub fn packages(cache: &Cache) -> Result<Vec<PackageTree>> {
    let sources: Vec<_> = source_packages().collect();
    let packages = available(cache, &sources)?;
    if packages.len() < MINIMUM {
        bail!(
            "{} holds {} PHP packages, {MINIMUM} are needed: `cargo xtask test --setup-only` gets them \
             with `apt-get source`",
            cache.debian_sources().display(),
            packages.len()
        );
    }
    Ok(packages)
}

/// The packages in the trees of some `sources`, sorted by name. Where a source carries several
/// (Symfony's components), each is one; the tree that contains them is one too, unless it
/// replaces them.
pub fn available(cache: &Cache, sources: &[&str]) -> Result<Vec<PackageTree>> {
    let mut packages = Vec::new();
    for tree in sorted_folders(&cache.debian_sources()).unwrap_or_default() {
        let folder = tree
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let Some((source, version)) = folder.rsplit_once('_') else {
            continue;
        };
        if !sources.contains(&source) {
            continue;
        }
        let mut found = Vec::new();
        find_packages(&tree, &mut found)?;
        let mut trees = read_packages(&found, version)?;
        leave_out_replacing_root(&tree, &mut trees);
        packages.append(&mut trees);
    }
    packages.sort_by(|one, two| one.name.cmp(&two.name));
    packages.dedup_by(|one, two| one.name == two.name);
    Ok(packages)
}

fn read_packages(folders: &[PathBuf], version: &str) -> Result<Vec<PackageTree>> {
    let read = |folder: &PathBuf| {
        let mut package = PackageTree::read(folder, version)?;
        package.version = own_version(&package);
        Ok(package)
    };
    folders.iter().map(read).collect()
}

/// Symfony's and Laravel's trees replace the components in them, so they cannot be installed
/// beside them; Twig's does not replace its extras, which require it.
fn leave_out_replacing_root(root: &Path, packages: &mut Vec<PackageTree>) {
    let replaces_another = |package: &PackageTree| {
        let replaced = package.composer.get("replace");
        packages
            .iter()
            .any(|other| replaced.is_some_and(|names| names.get(&other.name).is_some()))
    };
    let left_out = packages
        .iter()
        .position(|package| package.path == root && replaces_another(package));
    if let Some(index) = left_out {
        packages.remove(index);
    }
}

/// Symfony's contracts lie in Symfony's tree but follow a line of their own, which their branch
/// alias tells (`2.5-dev` in 5.4.53): then it is that line with the tree's patch number.
fn own_version(package: &PackageTree) -> String {
    let alias = package
        .composer
        .get("extra")
        .and_then(|extra| extra["branch-alias"]["dev-main"].as_str());
    let line = alias
        .and_then(|alias| alias.strip_suffix("-dev"))
        .unwrap_or_default();
    let patch = package.version.rsplit('.').next().unwrap_or_default();
    let is_line =
        line.split('.').count() == 2 && line.split('.').all(|part| part.parse::<u32>().is_ok());
    if is_line && package.name.ends_with("-contracts") {
        format!("{line}.{patch}")
    } else {
        package.version.clone()
    }
}

fn find_packages(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if has_named_manifest(folder) {
        found.push(folder.to_owned());
    }
    for child in sorted_folders(folder)? {
        let name = child
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if !NOT_PACKAGES.contains(&name.to_ascii_lowercase().as_str()) {
            find_packages(&child, found)?;
        }
    }
    Ok(())
}

fn has_named_manifest(folder: &Path) -> bool {
    let text = fs::read(folder.join("composer.json")).unwrap_or_default();
    let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    manifest["name"].is_string()
}

fn sorted_folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut folders = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            folders.push(entry.path());
        }
    }
    folders.sort();
    Ok(folders)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_additions_leave_the_upstream_version() {
        assert_eq!(
            upstream_version("php-twig_3.5.1.orig.tar.gz"),
            Some(("php-twig", "3.5.1"))
        );
        assert_eq!(
            upstream_version("symfony_5.4.53+dfsg.orig.tar.xz"),
            Some(("symfony", "5.4.53"))
        );
        assert_eq!(
            upstream_version("x_1.0.0~rc1+ds1.orig.tar.bz2"),
            Some(("x", "1.0.0"))
        );
        assert_eq!(upstream_version("php-twig_3.5.1-1.debian.tar.xz"), None);
    }

    fn names_after_leaving_out(replace: &serde_json::Value) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let child = folder.path().join("part");
        fs::create_dir(&child).unwrap();
        let root = serde_json::json!({"name": "acme/whole", "replace": replace});
        fs::write(folder.path().join("composer.json"), root.to_string()).unwrap();
        fs::write(child.join("composer.json"), r#"{"name": "acme/part"}"#).unwrap();
        let mut found = Vec::new();
        find_packages(folder.path(), &mut found).unwrap();
        let mut packages = read_packages(&found, "1.0.0").unwrap();
        leave_out_replacing_root(folder.path(), &mut packages);
        packages.into_iter().map(|package| package.name).collect()
    }

    #[test]
    fn a_tree_that_replaces_its_parts_is_left_out() {
        let replace = serde_json::json!({"acme/part": "self.version"});
        assert_eq!(names_after_leaving_out(&replace), ["acme/part"]);
        let replace = serde_json::json!({"acme/other": "*"});
        assert_eq!(
            names_after_leaving_out(&replace),
            ["acme/whole", "acme/part"]
        );
    }

    #[test]
    fn the_list_names_each_source_once() {
        let mut names: Vec<_> = source_packages().collect();
        let count = names.len();
        assert!(count >= 20, "{count}");
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
