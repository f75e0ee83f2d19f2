//! Archives of package versions: how they are named in URLs and known by content.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};
use thiserror::Error;

use super::names::{PackageName, RepositoryName};

/// The SHA-256 of an archive's bytes: its name in storage.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobId(pub [u8; 32]);

impl BlobId {
    /// Reads 64 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// As 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.hex())
    }
}

/// The kinds of archive that clients unpack (protocol A.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArchiveFormat {
    /// `type: zip`.
    Zip,
    /// `type: tar`, uncompressed.
    Tar,
    /// `type: tar`, gzip.
    TarGz,
    /// `type: tar`, bzip2.
    TarBz2,
    /// `type: xz`, a tar inside.
    TarXz,
}

impl ArchiveFormat {
    /// The format of a dist from its `type` and its URL; `None` for types we cannot serve.
    ///
    /// Old clients tell tar formats apart by the end of the URL path (protocol A.9), so ours must end alike.
    pub fn of_dist(kind: &str, url: &str) -> Option<Self> {
        let path = url.split(['?', '#']).next().unwrap_or(url);
        match kind {
            "zip" => Some(Self::Zip),
            "xz" => Some(Self::TarXz),
            "tar" => Some(
                Self::of_file(path)
                    .filter(|format| *format != Self::Zip)
                    .unwrap_or(Self::Tar),
            ),
            _ => None,
        }
    }

    /// The format a file name promises.
    pub fn of_file(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let ends = |suffix: &str| name.ends_with(suffix);
        if ends(".zip") {
            Some(Self::Zip)
        } else if ends(".tar.gz") || ends(".tgz") {
            Some(Self::TarGz)
        } else if ends(".tar.bz2") || ends(".tbz2") {
            Some(Self::TarBz2)
        } else if ends(".tar.xz") || ends(".txz") {
            Some(Self::TarXz)
        } else if ends(".tar") {
            Some(Self::Tar)
        } else {
            None
        }
    }

    /// Composer's `dist.type`.
    pub fn dist_type(self) -> &'static str {
        match self {
            Self::Zip => "zip",
            Self::Tar | Self::TarGz | Self::TarBz2 => "tar",
            Self::TarXz => "xz",
        }
    }

    /// The end of the URL path, with its dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zip => ".zip",
            Self::Tar => ".tar",
            Self::TarGz => ".tar.gz",
            Self::TarBz2 => ".tar.bz2",
            Self::TarXz => ".tar.xz",
        }
    }

    /// The content type; never a content encoding (protocol A.0, 9).
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Zip => "application/zip",
            Self::Tar => "application/x-tar",
            Self::TarGz => "application/gzip",
            Self::TarBz2 => "application/x-bzip2",
            Self::TarXz => "application/x-xz",
        }
    }

    /// Splits a file name of ours into its stem and its format.
    pub fn split_name(file: &str) -> Option<(&str, Self)> {
        [Self::TarGz, Self::TarBz2, Self::TarXz, Self::Tar, Self::Zip]
            .into_iter()
            .find_map(|format| {
                file.strip_suffix(format.extension())
                    .map(|stem| (stem, format))
            })
    }
}

/// What a dist URL of ours names: `/dist/{vendor}/{name}/{version}/{reference}{extension}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ArchiveKey {
    /// The package.
    pub package: PackageName,
    /// The normalised version in URL-safe characters, see [`url_segment`].
    pub version: String,
    /// The dist reference, or what stands for one, see [`reference_segment`].
    pub reference: String,
}

/// A normalised version as one path segment: everything but letters, digits, `.`, `_` and `-` becomes `~`.
pub fn url_segment(version: &str) -> String {
    let safe = |c: char| {
        if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '~'
        }
    };
    version.chars().map(safe).collect()
}

/// The reference as a path segment: as it is when it is plain hexadecimal, else the SHA-1 of reference and URL,
/// so that a version without a reference still has a stable address of its own.
pub fn reference_segment(reference: Option<&str>, dist_url: &str) -> String {
    match reference {
        Some(text) if is_hex(text) => text.to_owned(),
        _ => {
            let mut hash = Sha1::new();
            hash.update(reference.unwrap_or_default());
            hash.update([0]);
            hash.update(dist_url);
            hex::encode(hash.finalize())
        }
    }
}

/// Whether clients would put the reference into a URL unchanged (protocol A.9, `%reference%`).
pub fn is_hex(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// An archive in storage, as the database knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The repository it came from; who may read that may read this.
    pub repository: RepositoryName,
    /// Its address.
    pub key: ArchiveKey,
    /// Its format.
    pub format: ArchiveFormat,
    /// Its content.
    pub blob: BlobId,
    /// SHA-1 of the bytes, lower-case hexadecimal: `dist.shasum`.
    pub sha1: String,
    /// Its size in bytes.
    pub size: u64,
}

/// Bytes that arrived are not the archive that was promised. Nothing of them is kept.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ArchiveDefect {
    /// More than the configured bound.
    #[error(
        "it is larger than the limit of {limit} bytes (PackageBroker spec.limits.maxArchiveSize)"
    )]
    TooLarge {
        /// The bound in bytes.
        limit: u64,
    },
    /// The upstream's own checksum does not fit.
    #[error("its SHA-1 is {found}, but the repository promised {expected}")]
    Checksum {
        /// What the metadata says.
        expected: String,
        /// What arrived.
        found: String,
    },
    /// Not the kind of file it should be: an HTML page, an empty answer, a cut-off zip.
    #[error("it is not a readable {format} archive: {problem}")]
    Malformed {
        /// The format the metadata promised.
        format: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_follow_type_and_url() {
        for (kind, url, expected) in [
            ("zip", "https://h/x", Some(ArchiveFormat::Zip)),
            ("tar", "https://h/a.tgz?sig=1", Some(ArchiveFormat::TarGz)),
            ("tar", "https://h/download", Some(ArchiveFormat::Tar)),
            ("tar", "https://h/a.tar.bz2", Some(ArchiveFormat::TarBz2)),
            ("xz", "https://h/a", Some(ArchiveFormat::TarXz)),
            ("rar", "https://h/a.rar", None),
        ] {
            assert_eq!(ArchiveFormat::of_dist(kind, url), expected, "{kind} {url}");
        }
    }

    #[test]
    fn segments_are_url_safe() {
        assert_eq!(url_segment("dev-feature/x+y"), "dev-feature~x~y");
        assert_eq!(reference_segment(Some("abc123"), "u"), "abc123");
        assert_eq!(reference_segment(None, "u").len(), 40);
        assert_ne!(reference_segment(None, "u"), reference_segment(None, "v"));
        assert_eq!(reference_segment(Some("../../x"), "u").len(), 40);
    }

    #[test]
    fn names_split_at_the_longest_extension() {
        assert_eq!(
            ArchiveFormat::split_name("ab.tar.gz"),
            Some(("ab", ArchiveFormat::TarGz))
        );
        assert_eq!(
            ArchiveFormat::split_name("ab.zip"),
            Some(("ab", ArchiveFormat::Zip))
        );
        assert_eq!(ArchiveFormat::split_name("ab"), None);
    }
}
