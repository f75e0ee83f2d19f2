//! Which archive an address asks for, and whether what came is it.

use crate::{
    domain::{
        archive::{ArchiveDefect, ArchiveFormat, ArchiveKey, is_hex, url_segment},
        metadata::{Channel, PackageVersions, Version, links::Dist},
    },
    ports::source::{Received, SourceError, WantedArchive},
};

/// The version that an address names: by its own reference, or, for a branch, any commit (protocol A.9).
pub(super) fn choose(
    content: &PackageVersions,
    key: &ArchiveKey,
    format: ArchiveFormat,
) -> Option<WantedArchive> {
    let at_address = |version: &&Version| url_segment(version.normalized().as_str()) == key.version;
    let mut found: Vec<(&Version, String, Option<&str>)> = Vec::new();
    for version in content.versions.iter().filter(at_address) {
        if let Some(dist) = version.dist().filter(|dist| dist.format() == Some(format)) {
            found.push((version, dist.segment(), dist.reference.as_deref()));
        }
    }
    let exact = found
        .iter()
        .find(|(_, segment, _)| *segment == key.reference);
    let (version, reference) = if let Some((version, _, reference)) = exact {
        ((*version).clone(), reference.map(str::to_owned))
    } else {
        let commit = is_hex(&key.reference) && key.reference.len() >= 40;
        let (branch, ..) = found
            .iter()
            .find(|(version, ..)| version.channel() == Channel::Dev && commit)?;
        ((*branch).clone(), Some(key.reference.clone()))
    };
    Some(WantedArchive {
        package: key.package.clone(),
        version,
        reference,
        format,
    })
}

/// Refuses what is not the archive that was promised.
pub(super) fn verify(received: Received, wanted: &WantedArchive) -> Result<Received, SourceError> {
    received
        .edges
        .check(wanted.format)
        .map_err(SourceError::Defective)?;
    let dist = wanted.version.dist();
    let own = dist.filter(|dist| dist.reference == wanted.reference);
    if let Some(expected) = own.and_then(Dist::checksum)
        && !expected.eq_ignore_ascii_case(&received.sha1)
    {
        let (expected, found) = (expected.to_owned(), received.sha1);
        return Err(SourceError::Defective(ArchiveDefect::Checksum {
            expected,
            found,
        }));
    }
    Ok(received)
}
