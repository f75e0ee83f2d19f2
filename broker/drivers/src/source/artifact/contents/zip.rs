//! composer.json from a zip, by its directory of contents.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
};

use zip::{ZipArchive, result::ZipError};

use super::{Finder, broken, read_bounded};
use crate::source::artifact::refusal::Refusal;

const FORMAT: &str = "zip";
/// The most that is read of one archive, in bytes: its directory, which is held in memory, and one composer.json.
/// A directory takes about 100 bytes a file.
const BUDGET: u64 = 10 << 20;

/// The text of the composer.json that counts; at most `max` bytes.
pub(in crate::source::artifact) fn composer_json(
    file: &mut File,
    max: u64,
) -> Result<Vec<u8>, Refusal> {
    let mut budget = Budget {
        inner: BufReader::new(file),
        left: BUDGET,
    };
    let found = search(&mut budget, max);
    if budget.left == 0 {
        Err(Refusal::TooManyEntries)
    } else {
        found
    }
}

fn search(reader: &mut Budget<BufReader<&mut File>>, max: u64) -> Result<Vec<u8>, Refusal> {
    let mut archive = ZipArchive::new(reader).map_err(corrupt)?;
    if archive.has_duplicate_names() {
        return Err(Refusal::Ambiguous);
    }
    let mut finder = Finder::new(true);
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(corrupt)?;
        let name = String::from_utf8_lossy(entry.name_raw());
        if let Some(place) = finder.see(&name, entry.is_dir(), entry.is_file())? {
            finder.keep(place, index)?;
        }
    }
    let entry = archive.by_index(finder.finish()?).map_err(corrupt)?;
    if entry.size() > max {
        return Err(Refusal::ComposerJsonTooLarge(max));
    }
    read_bounded(entry, FORMAT, max)
}

fn corrupt(error: ZipError) -> Refusal {
    match error {
        ZipError::Io(error) => broken(FORMAT, error),
        other => Refusal::Corrupt {
            format: FORMAT,
            problem: other.to_string(),
        },
    }
}

/// Fails once more was read than an honest archive needs.
struct Budget<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Budget<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self.left.saturating_sub(read as u64);
        if self.left == 0 {
            Err(io::Error::other("too much of it had to be read"))
        } else {
            Ok(read)
        }
    }
}

impl<R: Seek> Seek for Budget<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        self.inner.seek(position)
    }
}
