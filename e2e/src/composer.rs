//! Real Composer clients, each in a project and a home of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::cache::Cache;
use crate::process::{Finished, run, tethered};

const LIMIT: Duration = Duration::from_mins(5);

/// The Composer versions of the matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComposerVersion {
    /// What Debian 12 installs: 2.5.
    Debian,
    /// 2.8, from Debian 13.
    Trixie,
    /// The newest in Debian: 2.11 or later.
    Newest,
}

impl ComposerVersion {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::Debian, Self::Trixie, Self::Newest];

    /// The Debian suite it is unpacked from, or `None` for the installed one.
    pub fn suite(self) -> Option<&'static str> {
        match self {
            Self::Debian => None,
            Self::Trixie => Some("trixie"),
            Self::Newest => Some("sid"),
        }
    }

    /// A command that runs it, without arguments. An error says how to get it when it is not
    /// there.
    pub fn command(self) -> Result<Command> {
        let mut command = tethered("php");
        let program = match self.suite() {
            None => PathBuf::from("/usr/bin/composer"),
            Some(suite) => {
                let cache = Cache::from_environment()?;
                let root = cache.composer(suite);
                let prelude = cache.composer_prelude(suite);
                for (setting, file) in [
                    ("include_path", root.join("usr/share/php")),
                    ("auto_prepend_file", prelude),
                ] {
                    command
                        .arg("-d")
                        .arg(format!("{setting}={}", file.display()));
                }
                root.join("usr/bin/composer")
            }
        };
        if !program.exists() {
            bail!(
                "{} is missing: `cargo xtask test --setup-only` gets it",
                program.display()
            );
        }
        command.arg(program);
        Ok(command)
    }
}

/// A project folder used by one Composer. Its home and cache lie in `.composer/` inside it.
#[derive(Debug)]
pub struct ComposerProject {
    version: ComposerVersion,
    directory: PathBuf,
}

impl ComposerProject {
    /// Writes `composer.json` into `directory`: one Composer repository at `url` and nothing
    /// else; `extra` (an object) adds `require` and whatever else the project needs.
    pub fn create(
        version: ComposerVersion,
        directory: &Path,
        url: &str,
        extra: &Value,
    ) -> Result<Self> {
        fs::create_dir_all(directory.join(".composer"))?;
        let mut manifest = json!({
            "name": "example/project",
            "description": "A project that installs from Package Broker",
            "repositories": [{"type": "composer", "url": url}, {"packagist.org": false}],
            "config": {"secure-http": false},
        });
        for (key, value) in extra.as_object().context("`extra` is not an object")? {
            manifest[key] = value.clone();
        }
        fs::write(
            directory.join("composer.json"),
            serde_json::to_vec_pretty(&manifest)?,
        )?;
        Ok(Self {
            version,
            directory: directory.to_owned(),
        })
    }

    /// Uses `auth_json`, the file that the broker wrote for an `AccessToken`.
    pub fn authenticate(&self, auth_json: &Path) -> Result<()> {
        fs::copy(auth_json, self.directory.join("auth.json"))
            .with_context(|| format!("cannot copy {}", auth_json.display()))?;
        Ok(())
    }

    /// The project folder.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Runs Composer without interaction. Its exit status is the caller's to judge.
    pub fn composer(&self, arguments: &[&str]) -> Result<Finished> {
        self.composer_with(arguments, &[])
    }

    /// The same with more environment variables.
    pub fn composer_with(
        &self,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Finished> {
        let home = self.directory.join(".composer");
        let mut command = self.version.command()?;
        command
            .args(arguments)
            .arg("--no-interaction")
            .current_dir(&self.directory);
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("COMPOSER") || name.to_ascii_lowercase().ends_with("_proxy") {
                command.env_remove(name.as_ref());
            }
        }
        command
            .env("COMPOSER_HOME", &home)
            .env("COMPOSER_CACHE_DIR", home.join("cache"));
        command
            .env("COMPOSER_ALLOW_SUPERUSER", "1")
            .env("COMPOSER_ROOT_VERSION", "1.0.0")
            .envs(environment.iter().copied());
        run(command, LIMIT)
    }

    /// Runs a PHP script (without the opening tag) in the project, autoloader loaded.
    pub fn php(&self, script: &str) -> Result<Finished> {
        let mut command = tethered("php");
        command
            .arg("-r")
            .arg(format!("require 'vendor/autoload.php'; {script}"));
        command.current_dir(&self.directory);
        run(command, LIMIT)
    }

    /// `composer.lock`, decoded.
    pub fn lock(&self) -> Result<Value> {
        let file = self.directory.join("composer.lock");
        let text = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Removes `vendor/`, as a fresh checkout has none.
    pub fn remove_vendor(&self) -> Result<()> {
        remove(&self.directory.join("vendor"))
    }

    /// Removes everything the client remembers of earlier runs.
    pub fn remove_cache(&self) -> Result<()> {
        remove(&self.directory.join(".composer/cache"))
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", folder.display()))
        }
        _ => Ok(()),
    }
}
