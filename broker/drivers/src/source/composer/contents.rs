//! What a root file or an include holds, sorted out.

use std::collections::HashMap;

use package_broker_core::domain::{metadata::Raw, names::PackageName, skipped::Skipped};

use super::{
    fetch::digest,
    files::FileState,
    root::{Keys, RootFile},
};

/// Packages by name. A name can stand twice in a file, in different case.
pub(super) type Packages = HashMap<PackageName, Vec<Raw>>;

/// A file sorted out.
pub(super) struct Contents {
    /// Whether anything in it tells a Composer repository from other JSON.
    pub(super) is_recognised: bool,
    /// What a root file says of the whole repository.
    pub(super) keys: Keys,
    /// Inline packages.
    pub(super) packages: Packages,
    /// Without path, hash and validator.
    pub(super) state: FileState,
    /// Names that are none.
    pub(super) skipped: Vec<Skipped>,
}

impl Contents {
    /// Sorts out a file. `hashed` says which includes count; a root file decides for itself.
    pub(super) fn of(root: RootFile, hashed: Option<bool>) -> Self {
        let mut skipped = Vec::new();
        let mut checked = |name: &str| {
            PackageName::parse(name)
                .map_err(|error| skipped.push(Skipped::new(name, error.to_string())))
                .ok()
        };
        let keys = root.keys();
        let includes = root.included(hashed.unwrap_or(keys.providers_url.is_some()));
        let providers = root
            .providers()
            .filter_map(|(name, hash)| Some((checked(name)?, hash.to_owned())))
            .collect();
        let is_recognised = root.is_recognised();
        let mut packages = Packages::new();
        for (name, raw) in root.packages.unwrap_or_default() {
            if let Some(name) = checked(&name) {
                packages.entry(name).or_default().push(raw);
            }
        }
        let digests = packages
            .iter()
            .map(|(name, raws)| (name.clone(), digest_of(raws)))
            .collect();
        let state = FileState {
            packages: digests,
            providers,
            includes,
            ..FileState::default()
        };
        Self {
            is_recognised,
            keys,
            packages,
            state,
            skipped,
        }
    }
}

/// Some digest for all texts of a name in a file.
pub(super) fn digest_of(raws: &[Raw]) -> String {
    match raws {
        [raw] => digest(raw.text().as_bytes()),
        raws => digest(
            raws.iter()
                .map(Raw::text)
                .collect::<Vec<_>>()
                .join("\n")
                .as_bytes(),
        ),
    }
}
