//! Our images, from static programs: one file, certificates, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use package_broker_e2e::image::Image;
use serde_json::json;

use crate::{
    process::{cargo, quiet, step, watch},
    workspace,
};

/// The programs that images are made of.
const PROGRAMS: [&str; 2] = ["package-broker", "package-broker-operator"];
/// Where images are that no registry has.
pub(crate) const REGISTRY: &str = "localhost";
/// The tag of images that are built for the suites.
pub(crate) const TAG: &str = "e2e";
/// What a pod with PHP and Composer is made of.
const PHP: &[&str] = &[
    "php-cli",
    "php-curl",
    "php-mbstring",
    "php-xml",
    "php-zip",
    "php-intl",
    "composer",
    "unzip",
    "bash",
    "dash",
    "coreutils",
];

/// A cargo command that builds static programs: they run in an image that holds nothing else.
pub(crate) fn static_cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = cargo(arguments);
    command
        // With a target, build scripts and macros are not built so; they cannot be.
        .env("CARGO_BUILD_TARGET", host()?)
        .env("RUSTFLAGS", "-C target-feature=+crt-static");
    Ok(command)
}

/// The folder of the programs that [`static_cargo`] built.
pub(crate) fn static_folder(profile: &str) -> Result<PathBuf> {
    Ok(workspace().join("target").join(host()?).join(profile))
}

/// The target that this machine's programs are built for.
fn host() -> Result<String> {
    let mut rustc = package_broker_e2e::process::tethered("rustc");
    rustc.arg("-vV");
    let said = quiet(rustc)?.stdout;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not say its host")
}

/// Builds our images for the suites, and returns their archives.
pub(crate) fn build() -> Result<Vec<PathBuf>> {
    step("building static programs for the images");
    let mut arguments = vec!["build"];
    for program in PROGRAMS {
        arguments.extend(["--package", program]);
    }
    watch(static_cargo(&arguments)?)?;
    let folder = workspace().join("target/images");
    fs::create_dir_all(&folder)?;
    let mut archives = Vec::new();
    for program in PROGRAMS {
        let archive = folder.join(format!("{program}.tar"));
        let reference = format!("{REGISTRY}/{program}:{TAG}");
        let binary = static_folder("debug")?.join(program);
        let digest = Image::of_program(&reference, &binary)?.write(&archive)?;
        println!("    {reference} {digest}");
        archives.push(archive);
    }
    archives.push(composer(&folder)?);
    Ok(archives)
}

/// An image with PHP and Composer, of this machine's packages.
fn composer(folder: &Path) -> Result<PathBuf> {
    let archive = folder.join("composer.tar");
    let reference = format!("{REGISTRY}/composer:{TAG}");
    let mut image = Image::new(&reference, &["/usr/bin/bash"]).with(
        "Env",
        json!([
            "PATH=/usr/bin:/bin",
            "HOME=/tmp",
            "COMPOSER_HOME=/tmp/composer"
        ]),
    );
    image.add_debian_packages(PHP)?;
    let digest = image.write(&archive)?;
    println!("    {reference} {digest}");
    Ok(archive)
}
