//! The root file `packages.json`, and the files it includes (protocol A.2).

use package_broker_core::domain::metadata::Raw;
use serde::{Deserialize, Serialize};

use super::lenient;

/// The keys that a mirror of the repository reads; all others are for clients.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct RootFile {
    /// Name → versions.
    #[serde(deserialize_with = "lenient::present_pairs")]
    pub(super) packages: Option<Vec<(String, Raw)>>,
    #[serde(deserialize_with = "lenient::text")]
    metadata_url: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    providers_lazy_url: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    providers_url: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    list: Option<String>,
    #[serde(deserialize_with = "lenient::items")]
    available_packages: Vec<String>,
    #[serde(deserialize_with = "lenient::items")]
    available_package_patterns: Vec<String>,
    #[serde(deserialize_with = "lenient::items")]
    mirrors: Vec<Mirror>,
    #[serde(deserialize_with = "lenient::pairs")]
    includes: Vec<(String, Hashes)>,
    #[serde(deserialize_with = "lenient::pairs")]
    provider_includes: Vec<(String, Hashes)>,
    /// Name → hash of its file.
    #[serde(deserialize_with = "lenient::pairs")]
    providers: Vec<(String, Hashes)>,
}

/// The checksum that a file was published with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Hashes {
    #[serde(deserialize_with = "lenient::text")]
    sha1: Option<String>,
    #[serde(deserialize_with = "lenient::text")]
    sha256: Option<String>,
}

/// Another place for archives (protocol A.9), in the root file and under `dist`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Mirror {
    /// A template, in the root file; absent for mirrors of sources.
    #[serde(
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) dist_url: Option<String>,
    /// The same under `dist`.
    #[serde(
        deserialize_with = "lenient::text",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) url: Option<String>,
    /// Whether it comes before `dist.url`.
    #[serde(deserialize_with = "lenient::truth")]
    pub(super) preferred: bool,
}

impl Mirror {
    /// Where archives are, if it has any.
    pub(super) fn template(&self) -> Option<&str> {
        self.dist_url.as_deref().or(self.url.as_deref())
    }
}

/// Where packages are found, by the one scheme that counts: what has to be known of a root file that did not change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Keys {
    /// Two files a package.
    pub(super) metadata_url: Option<String>,
    /// One file a package.
    pub(super) lazy_url: Option<String>,
    /// One file a package with a hash in its address.
    pub(super) providers_url: Option<String>,
    /// The list of names.
    pub(super) list: Option<String>,
    /// Names it limits itself to.
    pub(super) available: Vec<String>,
    /// Patterns it limits itself to.
    pub(super) patterns: Vec<String>,
    /// Other places for archives.
    pub(super) mirrors: Vec<Mirror>,
}

impl RootFile {
    /// Whether anything in it tells a Composer repository from any other JSON.
    pub(super) fn is_recognised(&self) -> bool {
        let urls = [
            &self.metadata_url,
            &self.providers_lazy_url,
            &self.providers_url,
        ];
        self.packages.is_some()
            || urls.iter().any(|url| url.is_some())
            || !self.includes.is_empty()
            || !self.provider_includes.is_empty()
            || !self.providers.is_empty()
    }

    /// Picks the scheme: `metadata-url`, as clients do; else hashed providers, which have a list; else lazy ones;
    /// else everything is inline and in includes.
    pub(super) fn keys(&self) -> Keys {
        let has_hashes = !self.providers.is_empty() || !self.provider_includes.is_empty();
        let mut keys = Keys {
            list: self.list.clone(),
            available: self.available_packages.clone(),
            patterns: self.available_package_patterns.clone(),
            mirrors: self
                .mirrors
                .iter()
                .filter(|mirror| mirror.dist_url.is_some())
                .cloned()
                .collect(),
            ..Keys::default()
        };
        if self.metadata_url.is_some() {
            keys.metadata_url.clone_from(&self.metadata_url);
        } else if has_hashes && self.providers_url.is_some() {
            keys.providers_url.clone_from(&self.providers_url);
        } else {
            keys.lazy_url.clone_from(&self.providers_lazy_url);
        }
        keys
    }

    /// The files that belong to this one, as path and promised hash. Provider files if the repository has hashed
    /// providers, else files with packages.
    pub(super) fn included(&self, hashed: bool) -> Vec<(String, String)> {
        let pick = |(path, hashes): &(String, Hashes)| {
            let hash = hashes
                .sha256
                .as_ref()
                .or(hashes.sha1.as_ref())
                .cloned()
                .unwrap_or_default();
            (path.replace("%hash%", &hash), hash)
        };
        let files = if hashed {
            &self.provider_includes
        } else {
            &self.includes
        };
        files.iter().map(pick).collect()
    }

    /// The names with the hashes of their files.
    pub(super) fn providers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.providers
            .iter()
            .filter_map(|(name, hashes)| Some((name.as_str(), hashes.sha256.as_deref()?)))
    }
}
