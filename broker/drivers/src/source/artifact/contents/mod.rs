//! What is inside of an archive, as far as Composer looks: one composer.json, at the top or in the single top folder.

pub(super) mod tar;
pub(super) mod zip;

use std::{
    collections::BTreeSet,
    io::{self, Read},
};

use super::refusal::Refusal;

/// The most entries that are looked at in one archive.
pub(super) const MAX_ENTRIES: usize = 200_000;

const COMPOSER_JSON: &str = "composer.json";

/// Where a composer.json may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Top,
    TopFolder,
}

/// Goes over the entries of an archive and keeps the one that counts.
struct Finder<T> {
    /// Composer counts files at the top of a zip as well, but only folders in a tar.
    counts_files: bool,
    entries: usize,
    tops: BTreeSet<String>,
    at_top: Option<T>,
    in_folder: Option<T>,
}

impl<T> Finder<T> {
    fn new(counts_files: bool) -> Self {
        Self {
            counts_files,
            entries: 0,
            tops: BTreeSet::new(),
            at_top: None,
            in_folder: None,
        }
    }

    /// Notes an entry by its name. Tells the place if it is a composer.json to be kept.
    fn see(&mut self, name: &str, is_dir: bool, is_file: bool) -> Result<Option<Place>, Refusal> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Refusal::TooManyEntries);
        }
        check_name(name)?;
        let path = name.trim_end_matches('/');
        match path.split_once('/') {
            None if is_file && path == COMPOSER_JSON => return Ok(Some(Place::Top)),
            None if is_dir || self.counts_files => self.note_top(path),
            None => {}
            Some((top, rest)) => {
                self.note_top(top);
                // With several tops none counts, so the first one met is enough.
                if is_file && rest == COMPOSER_JSON && self.tops.len() == 1 {
                    return Ok(Some(Place::TopFolder));
                }
            }
        }
        Ok(None)
    }

    fn note_top(&mut self, top: &str) {
        const ENOUGH_TO_NAME: usize = 3;
        // Resource forks that macOS adds.
        if !top.contains("__MACOSX") && self.tops.len() < ENOUGH_TO_NAME {
            self.tops.insert(top.to_owned());
        }
    }

    fn keep(&mut self, place: Place, found: T) -> Result<(), Refusal> {
        let slot = match place {
            Place::Top => &mut self.at_top,
            Place::TopFolder => &mut self.in_folder,
        };
        match slot.replace(found) {
            None => Ok(()),
            Some(_) => Err(Refusal::Ambiguous),
        }
    }

    fn finish(self) -> Result<T, Refusal> {
        if let Some(found) = self.at_top {
            return Ok(found);
        }
        if self.tops.len() > 1 {
            let named: Vec<String> = self.tops.iter().map(|top| shown(top)).collect();
            return Err(Refusal::SeveralTops(named.join(", ")));
        }
        self.in_folder.ok_or(Refusal::NoComposerJson)
    }
}

/// Refuses names that some client would unpack elsewhere.
fn check_name(name: &str) -> Result<(), Refusal> {
    let outside = || Err(Refusal::EntryOutside(shown(name)));
    let bytes = name.as_bytes();
    let drive = bytes.get(1) == Some(&b':') && bytes.first().is_some_and(u8::is_ascii_alphabetic);
    if name.is_empty() || name.starts_with(['/', '\\']) || name.contains('\0') || drive {
        return outside();
    }
    if name.split(['/', '\\']).any(|part| part == "..") {
        return outside();
    }
    if name == "." || name.starts_with("./") {
        return Err(Refusal::DotNames);
    }
    Ok(())
}

/// A name from an archive, short and without control characters.
fn shown(name: &str) -> String {
    name.chars()
        .take(80)
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Reads all of a composer.json, within the bound.
fn read_bounded(reader: impl Read, format: &'static str, max: u64) -> Result<Vec<u8>, Refusal> {
    let mut text = Vec::new();
    reader
        .take(max.saturating_add(1))
        .read_to_end(&mut text)
        .map_err(|error| broken(format, error))?;
    if text.len() as u64 > max {
        return Err(Refusal::ComposerJsonTooLarge(max));
    }
    Ok(text)
}

/// Tells a failing disk, which may recover, from an archive that is broken.
fn broken(format: &'static str, error: io::Error) -> Refusal {
    match error.raw_os_error() {
        Some(_) => Refusal::Unreadable(error),
        None => Refusal::Corrupt {
            format,
            problem: error.to_string(),
        },
    }
}
