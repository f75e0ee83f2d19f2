//! Our images, from static programs: one file, certificates, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use package_broker_e2e::{
    image::{Entry, Image},
    process::tethered,
};
use serde_json::json;

use crate::{
    process::{cargo, quiet, step, watch},
    reproduce::{self, Build},
    workspace,
};

/// The programs that images are made of.
const PROGRAMS: [&str; 2] = ["package-broker", "package-broker-operator"];
/// Where images are that no registry has.
pub(crate) const REGISTRY: &str = "localhost";
/// The tag of images that are built for the suites.
pub(crate) const TAG: &str = "e2e";
/// Another tag of the same images, to upgrade to.
const NEXT_TAG: &str = "e2e-next";
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

/// How images for people are made.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The registry, and the beginning of the names there
    #[arg(long, default_value = REGISTRY)]
    registry: String,
    /// The tag
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// Build everything twice, from two folders into two others, and fail unless the digests are the same
    #[arg(long)]
    check_reproducible: bool,
}

/// What makes programs static: they run in an image that holds nothing else.
pub(crate) const STATIC: &str = "-C target-feature=+crt-static";
/// The largest archive of an image, in bytes.
const LARGEST: u64 = 40 << 20;

/// A cargo command that builds static programs.
pub(crate) fn static_cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = cargo(arguments);
    command
        // With a target, build scripts and macros are not built so; they cannot be.
        .env("CARGO_BUILD_TARGET", host()?)
        .env("RUSTFLAGS", STATIC);
    Ok(command)
}

/// Builds the images that people run, with a list of what is in each, and says how large they are.
///
/// # Errors
/// If an image is too large, or two builds of it differ and that was asked for.
pub(crate) fn release(options: &Options) -> Result<()> {
    step("building optimised static programs; this takes some fifteen minutes");
    let here = Build::of(workspace(), workspace().join("target/dist"));
    let digests = write(&here, &workspace().join("target/images"), options)?;
    if !options.check_reproducible {
        return Ok(());
    }
    step("building them once more, elsewhere");
    let elsewhere = tempfile::tempdir()?;
    let copy = Build::of(
        elsewhere.path().join("another/source"),
        elsewhere.path().join("target"),
    );
    reproduce::copy(&workspace(), copy.source())?;
    let again = write(&copy, &elsewhere.path().join("images"), options)?;
    reproduce::compare(&digests, &again)?;
    step("both builds have the same digests");
    Ok(())
}

/// Builds the programs and writes an image of each. Returns their references and digests.
fn write(build: &Build, folder: &Path, options: &Options) -> Result<Vec<(String, String)>> {
    build.run(&PROGRAMS, "release")?;
    fs::create_dir_all(folder)?;
    let mut digests = Vec::new();
    for program in PROGRAMS {
        let stripped = build.stripped(program, "release", folder)?;
        let (registry, tag) = (&options.registry, &options.tag);
        let reference = format!("{registry}/{program}:{tag}");
        let parts = crate::sbom::of(program, tag)?;
        fs::write(folder.join(format!("{program}.spdx.json")), &parts)?;
        let mut image = Image::of_program(&reference, &stripped)?;
        let place = format!("/usr/share/sbom/{program}.spdx.json");
        image.add(&place, Entry::File(0o644, parts.into_bytes()));
        let archive = folder.join(format!("{program}-{tag}.tar"));
        let digest = image.write(&archive)?;
        let size = fs::metadata(&archive)?.len();
        println!(
            "    {reference}@{digest}, {} KiB: {}",
            size / 1024,
            archive.display()
        );
        is_small_enough(&reference, size)?;
        digests.push((reference, digest));
    }
    Ok(digests)
}

fn is_small_enough(reference: &str, size: u64) -> Result<()> {
    ensure!(
        size <= LARGEST,
        "the image {reference} has {} KiB, more than the {} KiB that it may have; look for what has become larger with `cargo bloat`",
        size.div_ceil(1024),
        LARGEST / 1024
    );
    Ok(())
}

/// The folder of the programs that [`static_cargo`] built.
pub(crate) fn static_folder(profile: &str) -> Result<PathBuf> {
    Ok(workspace().join("target").join(host()?).join(profile))
}

/// The target that this machine's programs are built for.
pub(crate) fn host() -> Result<String> {
    let mut rustc = tethered("rustc");
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
        let image = Image::of_program(&reference, &binary)?;
        let next = format!("{REGISTRY}/{program}:{NEXT_TAG}");
        let digest = image.also(&next).write(&archive)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_too_large_is_refused() {
        assert!(is_small_enough("localhost/x:1", 40 * 1024 * 1024).is_ok());
        let said = is_small_enough("localhost/x:1", 40 * 1024 * 1024 + 1);
        let said = said.unwrap_err().to_string();
        assert!(
            said.contains("localhost/x:1 has 40961 KiB, more than the 40960 KiB"),
            "{said}"
        );
    }
}
