//! `composer.json` as it stands in a commit.

use gix::{ObjectId, bstr::ByteSlice as _, objs::tree::EntryKind};
use package_broker_core::domain::metadata::Fields;
use serde::Deserialize;

use super::trouble::Trouble;

/// The most bytes of a `composer.json`, where no limit of the installation is lower.
pub(super) const MAX_MANIFEST: u64 = 1 << 20;

/// Keys of `composer.json` that are no part of a version's metadata: they concern the project itself, belong to the
/// repository that serves it, or are ours to say (protocol A.12, B.1).
const DROPPED: [&str; 21] = [
    "name",
    "version",
    "version_normalized",
    "source",
    "dist",
    "time",
    "published-time",
    "default-branch",
    "notification-url",
    "transport-options",
    "installation-source",
    "uid",
    "archive",
    "autoload-dev",
    "scripts",
    "config",
    "repositories",
    "minimum-stability",
    "prefer-stable",
    "scripts-descriptions",
    "scripts-aliases",
];

/// A parsed `composer.json`.
#[derive(Clone, Debug)]
pub(super) struct Manifest {
    /// `name`, unchecked; `None` where there is none, or it is no string.
    pub(super) name: Option<String>,
    /// `version`, where it is declared.
    pub(super) declared: Option<Declared>,
    /// `archive.exclude`.
    pub(super) exclude: Vec<String>,
    /// What clients get.
    pub(super) fields: Fields,
}

/// A `version` in `composer.json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Declared {
    /// As written.
    Text(String),
    /// Something that is no string.
    Odd,
}

#[derive(Default, Deserialize)]
struct Archive {
    #[serde(default)]
    exclude: Vec<String>,
}

impl Manifest {
    /// Parses the text of a `composer.json`.
    ///
    /// # Errors
    /// What is wrong with it, in words for its author.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let fields: Fields =
            serde_json::from_slice(text).map_err(|error| format!("composer.json: {error}"))?;
        Ok(Self::of(fields))
    }

    fn of(mut fields: Fields) -> Self {
        let name = fields.read("name");
        let declared = fields
            .get("version")
            .filter(|raw| !raw.is_nothing())
            .map(|raw| raw.read().map_or(Declared::Odd, Declared::Text));
        let archive: Archive = fields.read("archive").unwrap_or_default();
        fields.retain(|key, _| !DROPPED.contains(&key));
        Self {
            name,
            declared,
            exclude: archive.exclude,
            fields,
        }
    }
}

/// Where a commit's `composer.json` is: its blob, or why there is none.
pub(super) type Found = Result<ObjectId, String>;

/// Looks `composer.json` up in a tree; `path` is the folder it lies in.
///
/// # Errors
/// [`Trouble::Damaged`] if the tree cannot be read.
pub(super) fn locate(tree: &gix::Tree<'_>, path: Option<&str>) -> Result<Found, Trouble> {
    let file = path.map_or_else(
        || "composer.json".to_owned(),
        |path| format!("{path}/composer.json"),
    );
    let entry = tree.lookup_entry_by_path(&file).map_err(Trouble::damaged)?;
    Ok(match entry {
        Some(entry) => match entry.mode().kind() {
            EntryKind::Blob | EntryKind::BlobExecutable => Ok(entry.object_id()),
            EntryKind::Tree | EntryKind::Commit | EntryKind::Link => {
                Err(format!("{file} is not a file"))
            }
        },
        None => Err(format!("there is no {file}")),
    })
}

/// Reads and parses a `composer.json` of at most `limit` bytes.
///
/// # Errors
/// [`Trouble::Damaged`] if the blob cannot be read; the inner error is for the author.
pub(super) fn read(
    repository: &gix::Repository,
    blob: ObjectId,
    limit: u64,
) -> Result<Result<Manifest, String>, Trouble> {
    let size = repository
        .find_header(blob)
        .map_err(Trouble::damaged)?
        .size();
    if size > limit {
        return Ok(Err(format!(
            "composer.json has {size} bytes, more than {limit}"
        )));
    }
    let object = repository.find_object(blob).map_err(Trouble::damaged)?;
    Ok(Manifest::parse(object.data.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_do_not_use_is_left_out() {
        let manifest = Manifest::parse(
            br#"{"name":"acme/lib","version":"1.0","time":"x","require":{"php":">=8"},"archive":{"exclude":["/t"]},
                "autoload-dev":{},"scripts":{},"published-time":"2020-01-01","extra":{"branch-alias":{"dev-main":"1.x-dev"}},
                "abandoned":true}"#,
        )
        .unwrap();
        assert_eq!(manifest.name.as_deref(), Some("acme/lib"));
        assert_eq!(manifest.declared, Some(Declared::Text("1.0".to_owned())));
        assert_eq!(manifest.exclude, ["/t"]);
        let kept: Vec<String> = manifest
            .fields
            .iter()
            .map(|(key, _)| key.to_string())
            .collect();
        assert_eq!(kept, ["require", "extra", "abandoned"]);
    }

    #[test]
    fn broken_files_are_explained() {
        for (text, reason) in [
            ("", "EOF"),
            ("[1]", "list"),
            ("\"x\"", "invalid type"),
            ("{\"name\":", "EOF"),
            ("\u{feff}{}", "expected value"),
        ] {
            let error = Manifest::parse(text.as_bytes()).unwrap_err();
            assert!(
                error.starts_with("composer.json: ") && error.contains(reason),
                "{text}: {error}"
            );
        }
        assert!(Manifest::parse(b"{\"description\":\"\xff\"}").is_err());
        assert_eq!(
            Manifest::parse(br#"{"version":1}"#).unwrap().declared,
            Some(Declared::Odd)
        );
    }
}
