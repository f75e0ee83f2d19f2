//! Judges one archive: its bytes, the composer.json in it, and the name and version therein.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use package_broker_core::domain::{
    archive::ArchiveFormat,
    integrity::Edges,
    metadata::Fields,
    names::PackageName,
    version::{self, NormalizedVersion},
};
use sha1::{Digest as _, Sha1};

use super::{contents, place::MAX_FILE, refusal::Refusal, state::Identity};

/// How much of a file is in memory while it is hashed.
const BUFFER: usize = 256 << 10;

/// Reads archives within bounds. Blocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inspector {
    /// The largest composer.json, in bytes.
    pub(super) max_composer_json: u64,
}

impl Inspector {
    /// Says what a file is whose bytes went through `digest`, and gives the text of its composer.json.
    pub(super) fn judge(
        self,
        file: &mut File,
        format: ArchiveFormat,
        digest: Digest,
    ) -> Result<(Identity, Vec<u8>), Refusal> {
        digest.edges.check(format)?;
        let text = self.composer_json(file, format)?;
        let (name, version) = identity(&parse(&text)?)?;
        let sha1 = digest.sha1();
        let identity = Identity {
            name,
            version,
            sha1,
        };
        Ok((identity, text))
    }

    /// The text of the composer.json in a file.
    pub(super) fn composer_json(
        self,
        file: &mut File,
        format: ArchiveFormat,
    ) -> Result<Vec<u8>, Refusal> {
        file.seek(SeekFrom::Start(0))?;
        match format {
            ArchiveFormat::Zip => contents::zip::composer_json(file, self.max_composer_json),
            _ => contents::tar::composer_json(file, self.max_composer_json),
        }
    }
}

/// The metadata in the text of a composer.json.
pub(super) fn parse(text: &[u8]) -> Result<Fields, Refusal> {
    serde_json::from_slice(text).map_err(Refusal::NotJson)
}

/// What is computed over the bytes of a file.
#[derive(Default)]
pub(super) struct Digest {
    sha1: Sha1,
    edges: Edges,
}

impl Digest {
    /// That of a whole file.
    pub(super) fn of(file: &mut File) -> io::Result<Self> {
        let mut digest = Self::default();
        let mut buffer = vec![0; BUFFER];
        let mut bounded = file.take(MAX_FILE);
        loop {
            let read = bounded.read(&mut buffer)?;
            let chunk = buffer.get(..read).unwrap_or_default();
            if chunk.is_empty() {
                return Ok(digest);
            }
            digest.take(chunk);
        }
    }

    /// The SHA-1 of all bytes, lower-case hexadecimal.
    pub(super) fn sha1(self) -> String {
        hex::encode(self.sha1.finalize())
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, chunk: &[u8]) {
        self.sha1.update(chunk);
        self.edges.take(chunk);
    }
}

/// The name and version that clients will see. A version may be a bare number, as PHP takes it.
fn identity(fields: &Fields) -> Result<(PackageName, NormalizedVersion), Refusal> {
    let name = fields.read::<String>("name").ok_or(Refusal::NoName)?;
    let version = fields.read::<String>("version");
    let version = version.or_else(|| {
        fields
            .read::<serde_json::Number>("version")
            .map(|number| number.to_string())
    });
    let version = version
        .filter(|text| !text.trim().is_empty())
        .ok_or(Refusal::NoVersion)?;
    Ok((PackageName::parse(&name)?, version::normalize(&version)?))
}
