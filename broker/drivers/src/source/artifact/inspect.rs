//! Judges one archive: its bytes, the composer.json in it, and the name and version therein.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use package_broker_core::domain::{
    archive::ArchiveFormat,
    integrity::Edges,
    metadata::{Fields, Raw, links::Dist},
    names::PackageName,
    version::{self, NormalizedVersion},
};
use sha1::{Digest, Sha1};

use super::{
    contents,
    folder::{self, FileStamp, Folder},
    refusal::Refusal,
    scan::Candidate,
    state::{Identity, PackageFile},
};

/// The largest file that is hashed; what may be served is bounded by the installation's own limit.
const MAX_FILE: u64 = 4 << 30;
/// How much of a file is in memory while it is hashed.
const BUFFER: usize = 256 << 10;

/// Reads archives within bounds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inspector {
    /// The largest composer.json, in bytes.
    pub(super) max_composer_json: u64,
}

impl Inspector {
    /// Reads a whole file and says what it is.
    pub(super) fn identify(
        self,
        folder: &Folder,
        candidate: &Candidate,
    ) -> Result<Identity, Refusal> {
        if candidate.stamp.size() > MAX_FILE {
            return Err(Refusal::TooLarge);
        }
        candidate.stamp.settle();
        unchanging(folder, &candidate.path, candidate.stamp, |file| {
            let (sha1, edges) = digest(file)?;
            edges.check(candidate.format)?;
            let fields = self.composer_json(file, candidate.format)?;
            let (name, version) = identity(&fields)?;
            Ok(Identity {
                name,
                version,
                sha1,
            })
        })
    }

    /// Reads the metadata of a file that was identified before. `stamp` is what it had then.
    pub(super) fn fields(
        self,
        folder: &Folder,
        file: &PackageFile,
        stamp: FileStamp,
    ) -> Result<Fields, Refusal> {
        let format = ArchiveFormat::of_file(&file.path).ok_or(Refusal::NoComposerJson)?;
        let mut fields = unchanging(folder, &file.path, stamp, |open| {
            self.composer_json(open, format)
        })?;
        let sha1 = Some(file.sha1.clone());
        let url = folder::url_of_path(&file.path);
        let dist = Dist {
            kind: format.dist_type().to_owned(),
            url,
            reference: sha1.clone(),
            shasum: sha1,
        };
        fields.set("dist", Raw::of(&dist));
        Ok(fields)
    }

    fn composer_json(self, file: &mut File, format: ArchiveFormat) -> Result<Fields, Refusal> {
        file.seek(SeekFrom::Start(0))?;
        let text = match format {
            ArchiveFormat::Zip => contents::zip::composer_json(file, self.max_composer_json)?,
            _ => contents::tar::composer_json(file, self.max_composer_json)?,
        };
        serde_json::from_slice(&text).map_err(Refusal::NotJson)
    }
}

/// Does something with a file, and refuses the result if the file was not the expected one from beginning to end.
fn unchanging<T>(
    folder: &Folder,
    path: &str,
    expected: FileStamp,
    work: impl FnOnce(&mut File) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let (mut file, before) = folder.open(path)?;
    if before != expected {
        return Err(Refusal::Busy);
    }
    let result = work(&mut file);
    if folder.stamp(path).ok() != Some(expected) {
        return Err(Refusal::Busy);
    }
    result
}

fn digest(file: &mut File) -> Result<(String, Edges), Refusal> {
    let (mut hash, mut edges) = (Sha1::new(), Edges::default());
    let mut buffer = vec![0; BUFFER];
    let mut bounded = file.take(MAX_FILE);
    loop {
        let read = bounded.read(&mut buffer)?;
        let chunk = buffer.get(..read).unwrap_or_default();
        if chunk.is_empty() {
            return Ok((hex::encode(hash.finalize()), edges));
        }
        hash.update(chunk);
        edges.take(chunk);
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
