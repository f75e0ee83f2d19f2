//! Composer versions that Debian 12 does not have, unpacked from other suites.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use package_broker_e2e::cache::Cache;
use package_broker_e2e::composer::ComposerVersion;
use package_broker_e2e::process::{run, tethered};
use package_broker_e2e::tree::files_below;

use super::apt::{Index, PrivateApt};
use crate::process::{quiet, step};

/// PHP itself and its extensions are this machine's; only PHP code is unpacked.
const FROM_THIS_MACHINE: [&str; 8] = [
    "php-cli",
    "php-common",
    "php-json",
    "php-intl",
    "php-mbstring",
    "php-curl",
    "php-xml",
    "php-zip",
];

/// What later PHP versions bring and other suites' code counts on, where a suite has it.
const POLYFILLS: &str = "php-symfony-polyfill-php8";

/// Unpacks every version of the matrix that is not in the cache yet.
pub(crate) fn ensure() -> Result<()> {
    let cache = Cache::from_environment()?;
    for version in ComposerVersion::ALL {
        if let Some(suite) = version.suite() {
            if !cache.composer_prelude(suite).exists() {
                unpack(&cache, suite)
                    .with_context(|| format!("cannot get Composer of Debian {suite}"))?;
            }
            let mut command = version.command()?;
            command
                .args(["--version", "--no-ansi"])
                .env("COMPOSER_ALLOW_SUPERUSER", "1");
            let said = run(command, Duration::from_mins(1))?.success()?.stdout;
            step(format!(
                "Debian {suite}: {}",
                said.lines().next().unwrap_or_default()
            ));
        }
    }
    Ok(())
}

fn unpack(cache: &Cache, suite: &'static str) -> Result<()> {
    let apt = PrivateApt::open(cache, suite, Index::Packages)?;
    let mut names = apt.closure("composer")?;
    names.retain(|name| {
        ["composer", "jsonlint"].contains(&name.as_str())
            || name.starts_with("php-") && !FROM_THIS_MACHINE.contains(&name.as_str())
    });
    names.extend(apt.names_from(POLYFILLS)?);
    step(format!(
        "downloading {} packages of Composer from Debian {suite}",
        names.len()
    ));
    let target = cache.composer(suite);
    let parent = target.parent().context("the cache folder has no parent")?;
    fs::create_dir_all(parent)?;
    let work = tempfile::Builder::new()
        .prefix(".unpack-")
        .tempdir_in(parent)?;
    let (archives, tree) = (work.path().join("archives"), work.path().join("tree"));
    fs::create_dir(&archives)?;
    apt.download(&names, &archives)?;
    for archive in files_below(&archives)? {
        let mut command = tethered("dpkg-deb");
        command
            .arg("--extract")
            .arg(archives.join(archive))
            .arg(&tree);
        quiet(command)?;
    }
    relocate(&tree, &target)?;
    write_prelude(&tree)?;
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    // A complete tree or none: an interrupted run leaves only the temporary folder.
    fs::rename(&tree, &target).with_context(|| format!("cannot make {}", target.display()))
}

/// A file for PHP's `auto_prepend_file` that loads the polyfills.
fn write_prelude(tree: &Path) -> Result<()> {
    let library = tree.join("usr/share/php");
    let mut prelude = "<?php\n".to_owned();
    for file in files_below(&library)? {
        if file.starts_with("Symfony/Polyfill") && file.ends_with("autoload.php") {
            writeln!(prelude, "require_once __DIR__ . '/{}';", file.display())?;
        }
    }
    fs::write(library.join("prelude.php"), prelude)?;
    Ok(())
}

/// Some of Debian's autoload files name `/usr/share/` outright: let them name the new place.
fn relocate(tree: &Path, target: &Path) -> Result<()> {
    for file in files_below(tree)? {
        let path = tree.join(file);
        let Ok(text) = String::from_utf8(fs::read(&path)?) else {
            continue;
        };
        let place = format!("{}/usr/share/", target.display());
        let moved = text
            .replace("'/usr/share/", &format!("'{place}"))
            .replace("\"/usr/share/", &format!("\"{place}"));
        if moved != text {
            fs::write(&path, moved)?;
        }
    }
    Ok(())
}
