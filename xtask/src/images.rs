//! Our images, from static programs: one file, certificates, and nothing else.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use package_broker_e2e::{
    image::{Entry, Image},
    process::tethered,
};
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
}

/// What makes programs static: they run in an image that holds nothing else.
const STATIC: &str = "-C target-feature=+crt-static";

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
pub(crate) fn release(options: &Options) -> Result<()> {
    step("building optimised static programs; this takes some fifteen minutes");
    let target = workspace().join("target/dist");
    let mut build = static_cargo(&["build", "--release", "--locked", "--target-dir"])?;
    build.arg(&target);
    for program in PROGRAMS {
        build.args(["--package", program]);
    }
    watch(with_neutral_paths(build))?;
    let folder = workspace().join("target/images");
    fs::create_dir_all(&folder)?;
    for program in PROGRAMS {
        let optimised = target.join(host()?).join("release").join(program);
        let stripped = folder.join(program);
        let mut strip = tethered("strip");
        strip.arg("-o").arg(&stripped).arg(optimised);
        quiet(strip).context("install the Debian package binutils")?;
        let (registry, tag) = (&options.registry, &options.tag);
        let reference = format!("{registry}/{program}:{tag}");
        let parts = crate::sbom::of(program, tag)?;
        fs::write(folder.join(format!("{program}.spdx.json")), &parts)?;
        let mut image = Image::of_program(&reference, &stripped)?;
        let place = format!("/usr/share/sbom/{program}.spdx.json");
        image.add(&place, Entry::File(0o644, parts.into_bytes()));
        let archive = folder.join(format!("{program}-{tag}.tar"));
        let digest = image.write(&archive)?;
        let size = fs::metadata(&archive)?.len() / 1024;
        println!(
            "    {reference}@{digest}, {size} KiB: {}",
            archive.display()
        );
    }
    Ok(())
}

/// The same programs, wherever they are built: no path of this machine goes into them.
fn with_neutral_paths(mut build: Command) -> Command {
    let home = |name: &str, below: &str| {
        let set = std::env::var_os(name).map(PathBuf::from);
        set.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(below)))
    };
    let mut flags = STATIC.to_owned();
    for (path, name) in [
        (Some(workspace()), "/src"),
        (home("CARGO_HOME", ".cargo"), "/cargo"),
        (home("RUSTUP_HOME", ".rustup"), "/rustup"),
    ] {
        if let Some(path) = path {
            let path = path.display().to_string();
            flags.extend([" --remap-path-prefix=", &path, "=", name]);
        }
    }
    build.env("RUSTFLAGS", flags);
    build
}

/// The folder of the programs that [`static_cargo`] built.
pub(crate) fn static_folder(profile: &str) -> Result<PathBuf> {
    Ok(workspace().join("target").join(host()?).join(profile))
}

/// The target that this machine's programs are built for.
fn host() -> Result<String> {
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
