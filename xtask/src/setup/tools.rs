//! Programs from crates, built once into the cache.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use package_broker_e2e::cache::Cache;

use crate::process::{cargo, step, watch};

/// The release of Garage that the tests run.
const GARAGE: &str = "2.5.0";

/// The `cargo-deny` program: the one in `PATH`, else built into the cache (some minutes, once).
pub(crate) fn cargo_deny() -> Result<PathBuf> {
    let installed = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path)
            .map(|folder| folder.join("cargo-deny"))
            .find(|path| path.is_file())
    });
    if let Some(program) = installed {
        return Ok(program);
    }
    let tools = Cache::from_environment()?.tools();
    let program = tools.join("bin/cargo-deny");
    if !program.is_file() {
        step("building cargo-deny into the cache, once; this takes some minutes");
        let mut install = cargo(&["install", "--locked", "--quiet", "cargo-deny", "--root"]);
        install.arg(&tools);
        watch(install)?;
    }
    Ok(program)
}

/// The Garage server, an S3 service as people run it, built into the cache (some ten minutes, once). It is only run,
/// never linked: its licence is the AGPL.
pub(crate) fn garage() -> Result<()> {
    let cache = Cache::from_environment()?;
    if cache.garage().is_file() {
        return Ok(());
    }
    step(
        "building Garage, an S3 server for the tests, into the cache, once; this takes some ten minutes",
    );
    let mut install = cargo(&["install", "--locked", "--quiet", "garage", "--version"]);
    install
        .args([GARAGE, "--no-default-features", "--features"])
        .args(["bundled-libs,sqlite", "--root"])
        .arg(cache.tools())
        // Fast to build: it serves tests.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    watch(install)
}

/// `PATH` with the folder of `program` in front, so that cargo finds its subcommand.
pub(crate) fn path_with(program: &Path) -> OsString {
    let folder = program.parent().map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}
