//! composer.json from a tar, plain or compressed, in one pass.
//!
//! Long names come in entries of their own, of any size the archive likes to state. The library would read those
//! whole, so they are read here, within bounds.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::{Finder, broken, read_bounded, shown};
use crate::source::artifact::refusal::Refusal;

const FORMAT: &str = "tar";
/// The most that is unpacked of one archive, in bytes.
const MAX_UNPACKED: u64 = 8 << 30;
/// The longest name or set of attributes before an entry, in bytes.
const MAX_EXTENSION: u64 = 64 << 10;

/// The text of the composer.json that counts; at most `max` bytes.
pub(in crate::source::artifact) fn composer_json(
    file: &mut File,
    max: u64,
) -> Result<Vec<u8>, Refusal> {
    let mut archive = Archive::new(decompressed(file)?.take(MAX_UNPACKED));
    let found = search(&mut archive, max);
    let mut rest = archive.into_inner();
    // What follows the last entry holds the checksum of the compression.
    let drained = if found.is_ok() {
        io::copy(&mut rest, &mut io::sink())
    } else {
        Ok(0)
    };
    if rest.limit() == 0 {
        return Err(Refusal::UnpacksTooLarge);
    }
    drained.map_err(unreadable)?;
    found
}

/// As Composer's, this goes by the content: a `.tar` may be compressed as well.
fn decompressed(file: &mut File) -> Result<Box<dyn Read + '_>, Refusal> {
    let mut magic = Vec::new();
    file.take(3).read_to_end(&mut magic)?;
    file.seek(SeekFrom::Start(0))?;
    let reader = BufReader::with_capacity(64 << 10, file);
    Ok(match magic.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(BufReader::new(MultiGzDecoder::new(reader))),
        b"BZh" => Box::new(BufReader::new(MultiBzDecoder::new(reader))),
        _ => Box::new(reader),
    })
}

fn search<R: Read>(archive: &mut Archive<R>, max: u64) -> Result<Vec<u8>, Refusal> {
    let mut finder = Finder::new(false);
    let mut long = LongName::default();
    for entry in archive.entries().map_err(unreadable)?.raw(true) {
        let mut entry = entry.map_err(unreadable)?;
        if long.take(&mut entry)? {
            continue;
        }
        let name = std::mem::take(&mut long).or_header(&entry)?;
        let kind = entry.header().entry_type();
        let is_dir = kind.is_dir() || name.ends_with('/');
        let is_file = !is_dir && (kind.is_file() || kind.is_contiguous());
        if let Some(place) = finder.see(&name, is_dir, is_file)? {
            if entry.size() > max {
                return Err(Refusal::ComposerJsonTooLarge(max));
            }
            finder.keep(place, read_bounded(&mut entry, FORMAT, max)?)?;
        }
    }
    finder.finish()
}

/// A name too long for the header of its entry, which comes in an entry before.
#[derive(Default)]
struct LongName {
    name: Option<Vec<u8>>,
    size: Option<u64>,
}

impl LongName {
    /// Whether the entry only describes the next one.
    fn take<R: Read>(&mut self, entry: &mut Entry<'_, R>) -> Result<bool, Refusal> {
        match entry.header().entry_type() {
            EntryType::GNULongName => {
                let name = read_extension(entry)?;
                // A name from a pax header goes before.
                self.name.get_or_insert_with(|| {
                    name.split(|byte| *byte == 0)
                        .next()
                        .unwrap_or_default()
                        .to_vec()
                });
                Ok(true)
            }
            EntryType::XHeader => {
                let attributes = read_extension(entry)?;
                for attribute in PaxExtensions::new(&attributes) {
                    let attribute = attribute.map_err(unreadable)?;
                    match attribute.key_bytes() {
                        b"path" => self.name = Some(attribute.value_bytes().to_vec()),
                        b"size" => {
                            self.size = attribute.value().ok().and_then(|value| value.parse().ok());
                        }
                        _ => {}
                    }
                }
                Ok(true)
            }
            EntryType::GNULongLink | EntryType::XGlobalHeader => Ok(true),
            _ => Ok(false),
        }
    }

    fn or_header<R: Read>(self, entry: &Entry<'_, R>) -> Result<String, Refusal> {
        let name = self.name.unwrap_or_else(|| entry.path_bytes().into_owned());
        let name = String::from_utf8_lossy(&name).into_owned();
        if self.size.is_some_and(|size| size != entry.size()) {
            return Err(corrupt(format!(
                "two sizes are given for \"{}\"",
                shown(&name)
            )));
        }
        Ok(name)
    }
}

fn read_extension<R: Read>(entry: &mut Entry<'_, R>) -> Result<Vec<u8>, Refusal> {
    if entry.size() > MAX_EXTENSION {
        return Err(corrupt(format!(
            "a name in it is longer than {MAX_EXTENSION} bytes"
        )));
    }
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

fn unreadable(error: io::Error) -> Refusal {
    broken(FORMAT, error)
}

fn corrupt(problem: String) -> Refusal {
    Refusal::Corrupt {
        format: FORMAT,
        problem,
    }
}
