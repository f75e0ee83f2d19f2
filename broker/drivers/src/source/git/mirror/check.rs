//! Whether a mirror is what was written: reads all of it, so only after something failed.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::Path,
};

use sha1::{Digest as _, Sha1};

use crate::source::git::{refs::RemoteRefs, session::Session, trouble::is_exhaustion};

/// The checksum at the end of packs and of their indices, in bytes.
const CHECKSUM: u64 = 20;

/// How much is read at once.
const CHUNK: usize = 256 << 10;

/// Whether the packs are whole and have what `refs` name.
///
/// # Errors
/// If that cannot be told now, for instance because there are too many open files.
pub(super) fn is_sound(
    repository: &gix::Repository,
    refs: &RemoteRefs,
    session: &Session,
) -> io::Result<bool> {
    let packs = repository.objects.store_ref().path().join("pack");
    let entries = match fs::read_dir(packs) {
        Ok(entries) => entries,
        Err(error) => return damage(error),
    };
    for entry in entries {
        let index = entry?.path();
        if index.extension().is_some_and(|end| end == "idx")
            && !(is_whole(&index, session)? && is_whole(&index.with_extension("pack"), session)?)
        {
            return Ok(false);
        }
    }
    Ok(has_all(repository, refs))
}

/// Whether every object that refs name is there.
pub(super) fn has_all(repository: &gix::Repository, refs: &RemoteRefs) -> bool {
    refs.refs
        .values()
        .all(|target| repository.has_object(target.id) && repository.has_object(target.peeled))
}

/// Whether a file ends with the checksum of what stands before.
fn is_whole(path: &Path, session: &Session) -> io::Result<bool> {
    match checksums(path, session) {
        Ok((promised, found)) => Ok(promised == found),
        Err(_) if session.is_stopped() => Err(io::Error::other("the sync was stopped")),
        Err(error) => damage(error),
    }
}

/// The checksum that a file ends with, and the one that it has.
fn checksums(path: &Path, session: &Session) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut file = File::open(path)?;
    let content = file.metadata()?.len().checked_sub(CHECKSUM);
    let mut left = content.ok_or(io::ErrorKind::UnexpectedEof)?;
    let (mut digest, mut buffer) = (Sha1::new(), vec![0; CHUNK]);
    while left > 0 {
        if session.is_stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let wanted = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let read = file.read(buffer.get_mut(..wanted).unwrap_or_default())?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        digest.update(buffer.get(..read).unwrap_or_default());
        left -= read as u64;
    }
    let mut promised = Vec::new();
    file.read_to_end(&mut promised)?;
    Ok((promised, digest.finalize().to_vec()))
}

/// A file that cannot be read is damage, unless the system is short of something.
fn damage(error: io::Error) -> io::Result<bool> {
    if is_exhaustion(&error) {
        Err(error)
    } else {
        Ok(false)
    }
}
