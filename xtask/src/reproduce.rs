//! Programs that are the same wherever they are built, and how that is checked.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use package_broker_e2e::process::tethered;

use crate::{
    images::{STATIC, host},
    process::{cargo, quiet, watch},
};

/// A build: of which sources, and where to.
pub(crate) struct Build {
    source: PathBuf,
    target: PathBuf,
}

impl Build {
    pub(crate) fn of(source: PathBuf, target: PathBuf) -> Self {
        Self { source, target }
    }

    pub(crate) fn source(&self) -> &Path {
        &self.source
    }

    /// Builds static programs, in which no path of this machine is.
    pub(crate) fn run(&self, programs: &[&str], profile: &str) -> Result<()> {
        let mut build = self.cargo(profile)?;
        build.env("RUSTFLAGS", self.flags());
        for program in programs {
            build.args(["--package", program]);
        }
        watch(build)
    }

    fn cargo(&self, profile: &str) -> Result<Command> {
        let mut build = cargo(&["build", "--locked", "--profile", profile, "--target-dir"]);
        build
            .arg(&self.target)
            .current_dir(&self.source)
            // With a target, build scripts and macros are not built static; they cannot be.
            .env("CARGO_BUILD_TARGET", host()?);
        Ok(build)
    }

    /// Static, and with the same names for all folders, wherever they are.
    fn flags(&self) -> String {
        let home = |name: &str, below: &str| {
            let set = std::env::var_os(name).map(PathBuf::from);
            set.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(below)))
        };
        let mut flags = STATIC.to_owned();
        // The last that fits counts: one folder may be within another.
        for (path, name) in [
            (Some(self.source.clone()), "/src"),
            (Some(self.target.clone()), "/target"),
            (home("CARGO_HOME", ".cargo"), "/cargo"),
            (home("RUSTUP_HOME", ".rustup"), "/rustup"),
        ] {
            if let Some(path) = path {
                let path = path.display().to_string();
                flags.extend([" --remap-path-prefix=", &path, "=", name]);
            }
        }
        flags
    }

    /// A program that was built, without what only debuggers read, in a folder.
    pub(crate) fn stripped(&self, program: &str, profile: &str, folder: &Path) -> Result<PathBuf> {
        let folder_of_profile = if profile == "dev" { "debug" } else { profile };
        let built = self
            .target
            .join(host()?)
            .join(folder_of_profile)
            .join(program);
        let stripped = folder.join(program);
        let mut strip = tethered("strip");
        strip.arg("-o").arg(&stripped).arg(built);
        quiet(strip).context("install the Debian package binutils")?;
        Ok(stripped)
    }
}

/// Copies what git knows of a folder, as it is now.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let mut list = tethered("git");
    list.args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ])
    .current_dir(from);
    let listed = quiet(list)?.stdout;
    for name in listed.split('\0').filter(|name| !name.is_empty()) {
        let (source, copy) = (from.join(name), to.join(name));
        // One that was deleted and is still known.
        if !source.is_file() {
            continue;
        }
        fs::create_dir_all(copy.parent().context("no folder")?)?;
        fs::copy(&source, &copy).with_context(|| source.display().to_string())?;
    }
    Ok(())
}

/// Whether two builds of the same images have the same digests.
///
/// # Errors
/// Names those that have not.
pub(crate) fn compare(one: &[(String, String)], other: &[(String, String)]) -> Result<()> {
    let differing: Vec<String> = one
        .iter()
        .zip(other)
        .filter(|(one, other)| one != other)
        .map(|(one, other)| format!("{}: {} and {}", one.0, one.1, other.1))
        .collect();
    ensure!(
        differing.is_empty(),
        "two builds of the same sources differ, so that nobody can check what is in an image: {}",
        differing.join("; ")
    );
    ensure!(one.len() == other.len(), "two builds made different images");
    Ok(())
}

#[cfg(test)]
mod tests {
    use package_broker_e2e::image::Image;

    use super::*;

    /// A program that says where it was built, as every panic does.
    const MAIN: &str = "fn main() { println!(\"{} {}\", file!(), std::panic::Location::caller()); \
        include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\")); }";
    const SCRIPT: &str = "fn main() { let folder = std::env::var(\"OUT_DIR\").unwrap(); \
        std::fs::write(format!(\"{folder}/made.rs\"), \"println!(\\\"{}\\\", file!())\").unwrap(); }";

    /// Builds the tiny program in a folder, and returns the digest of its image.
    fn digest(folder: &Path, is_neutral: bool) -> Vec<(String, String)> {
        let source = folder.join("source");
        fs::create_dir_all(source.join("src")).unwrap();
        let manifest =
            "[package]\nname = \"tiny\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[workspace]\n";
        let lock = "version = 4\n\n[[package]]\nname = \"tiny\"\nversion = \"1.0.0\"\n";
        for (name, text) in [
            ("Cargo.toml", manifest),
            ("Cargo.lock", lock),
            ("build.rs", SCRIPT),
            ("src/main.rs", MAIN),
        ] {
            fs::write(source.join(name), text).unwrap();
        }
        let build = Build::of(source, folder.join("built"));
        if is_neutral {
            build.run(&["tiny"], "dev").unwrap();
        } else {
            let mut plain = build.cargo("dev").unwrap();
            plain.env("RUSTFLAGS", STATIC);
            quiet(plain).unwrap();
        }
        let program = build.stripped("tiny", "dev", folder).unwrap();
        let image = Image::of_program("localhost/tiny:1", &program).unwrap();
        let digest = image.write(&folder.join("tiny.tar")).unwrap();
        vec![("localhost/tiny:1".to_owned(), digest)]
    }

    #[test]
    fn a_program_is_the_same_wherever_it_is_built_and_that_it_is_not_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let of = |name: &str, is_neutral| digest(&folder.path().join(name), is_neutral);
        compare(&of("one", true), &of("quite/another", true)).unwrap();
        let said = compare(&of("third", false), &of("a/fourth", false));
        let said = said.unwrap_err().to_string();
        assert!(said.contains("localhost/tiny:1: sha256:"), "{said}");
    }
}
