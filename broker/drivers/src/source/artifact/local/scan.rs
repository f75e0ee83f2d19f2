//! Finds the archives in a folder, each once, within bounds.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use package_broker_core::{domain::archive::ArchiveFormat, ports::source::SourceError};

use super::folder::{FileStamp, Folder, FolderId};
use crate::source::artifact::{
    place::{Candidate, Listed, MAX_ENTRIES, MAX_FILES, Stamp},
    refusal::Refusal,
};

/// How many folders may lie within each other.
pub(in crate::source::artifact) const MAX_DEPTH: usize = 32;

/// Looks through the folder and everything below. Folders that may not be read are left out: every new volume has a
/// `lost+found`.
///
/// # Errors
/// [`SourceError::Unavailable`] if the folder is not there or fails to be read, for nothing must seem to have vanished
/// because a mount did; [`SourceError::Invalid`] if it is beyond the bounds.
pub(super) fn scan(folder: &Folder) -> Result<Listed, SourceError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => folder.unavailable("there is no such folder"),
        _ => folder.unavailable(format!("the folder cannot be read: {error}")),
    };
    let root = folder.root().map_err(failed)?;
    let metadata = fs::metadata(&root).map_err(failed)?;
    if !metadata.is_dir() {
        let problem =
            "it is not a folder; spec.url names the folder that holds the archives".to_owned();
        return Err(SourceError::Invalid {
            what: folder.shown().to_owned(),
            problem,
        });
    }
    fs::read_dir(&root).map_err(failed)?;
    let mut walk = Walk {
        root: root.clone(),
        found: Listed {
            is_empty: true,
            folder: Some(FolderId::of(&metadata)),
            ..Listed::default()
        },
        ..Walk::default()
    };
    walk.enter(root, String::new());
    walk.run().map_err(|stop| match stop {
        Stop::Failed(error) => failed(error),
        Stop::Bound(problem) => SourceError::Invalid {
            what: folder.shown().to_owned(),
            problem,
        },
    })?;
    Ok(walk.found)
}

enum Stop {
    Failed(io::Error),
    Bound(String),
}

/// A folder yet to be read.
struct Level {
    path: PathBuf,
    relative: String,
    depth: usize,
}

#[derive(Default)]
struct Walk {
    root: PathBuf,
    pending: Vec<Level>,
    /// By relative path, followed only when there is nothing else left: what is reached directly keeps that path.
    links: BTreeMap<String, (PathBuf, usize)>,
    seen: HashSet<PathBuf>,
    entries: usize,
    found: Listed,
}

impl Walk {
    fn run(&mut self) -> Result<(), Stop> {
        loop {
            if let Some(level) = self.pending.pop() {
                self.read(&level)?;
            } else if let Some((relative, (path, depth))) = self.links.pop_first() {
                self.follow(&path, relative, depth)?;
            } else {
                return Ok(());
            }
        }
    }

    fn enter(&mut self, path: PathBuf, relative: String) {
        let depth = if relative.is_empty() {
            0
        } else {
            relative.matches('/').count() + 1
        };
        if depth > MAX_DEPTH {
            self.found.refused.push((relative, Refusal::TooDeep));
        } else if self.seen.insert(path.clone()) {
            self.pending.push(Level {
                path,
                relative,
                depth,
            });
        }
    }

    fn read(&mut self, level: &Level) -> Result<(), Stop> {
        let entries = match fs::read_dir(&level.path) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(level.relative.clone(), error),
        };
        for entry in entries {
            match entry {
                Ok(entry) => self.take(level, &entry)?,
                Err(error) => return self.unreadable(level.relative.clone(), error),
            }
        }
        Ok(())
    }

    /// What vanished is not there; what we may not read is left out; any other failure ends the walk.
    fn unreadable(&mut self, relative: String, error: io::Error) -> Result<(), Stop> {
        match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            io::ErrorKind::PermissionDenied if !relative.is_empty() => {
                self.found.closed.push(relative.clone());
                self.found.refused.push((relative, error.into()));
                Ok(())
            }
            _ => Err(Stop::Failed(error)),
        }
    }

    fn take(&mut self, level: &Level, entry: &DirEntry) -> Result<(), Stop> {
        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(Stop::Bound(format!(
                "it holds more than {MAX_ENTRIES} files; use a folder for archives only"
            )));
        }
        let name = entry.file_name();
        if !(level.relative.is_empty() && name == "lost+found") {
            self.found.is_empty = false;
        }
        let shown = name.to_string_lossy();
        if shown.starts_with('.') {
            return Ok(());
        }
        let relative = if level.relative.is_empty() {
            shown.to_string()
        } else {
            format!("{}/{shown}", level.relative)
        };
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return self.unreadable(relative, error),
        };
        if name.to_str().is_none() {
            if kind.is_dir() || ArchiveFormat::of_file(&shown).is_some() {
                self.found.refused.push((relative, Refusal::NameNotText));
            }
        } else if kind.is_symlink() {
            self.links.insert(relative, (entry.path(), level.depth));
        } else if kind.is_dir() {
            self.enter(entry.path(), relative);
        } else if kind.is_file() {
            self.add(&entry.path(), relative)?;
        }
        Ok(())
    }

    /// Follows a link, if it stays inside and leads to what was not found otherwise.
    fn follow(&mut self, link: &Path, relative: String, depth: usize) -> Result<(), Stop> {
        let is_archive = ArchiveFormat::of_file(&relative).is_some();
        let target = match fs::canonicalize(link) {
            Ok(target) => target,
            // Dangling, a circle of links, or closed to us.
            Err(error) => {
                if error.kind() == io::ErrorKind::PermissionDenied {
                    self.found.closed.push(relative.clone());
                }
                if is_archive {
                    self.found.refused.push((relative, error.into()));
                }
                return Ok(());
            }
        };
        let is_dir = target.is_dir();
        if !target.starts_with(&self.root) {
            if is_dir || is_archive {
                self.found.refused.push((relative, Refusal::LinkOutside));
            }
        } else if is_dir && depth < MAX_DEPTH {
            self.enter(target, relative);
        } else if is_archive && target.is_file() {
            self.add(&target, relative)?;
        }
        Ok(())
    }

    fn add(&mut self, real: &Path, relative: String) -> Result<(), Stop> {
        let Some(format) = ArchiveFormat::of_file(&relative) else {
            return Ok(());
        };
        if !self.seen.insert(real.to_owned()) {
            return Ok(());
        }
        if format == ArchiveFormat::TarXz {
            self.found.refused.push((relative, Refusal::Xz));
            return Ok(());
        }
        match fs::metadata(real) {
            Ok(metadata) => {
                let stamp = Stamp::File(FileStamp::of(&metadata));
                self.found.files.push(Candidate {
                    path: relative,
                    format,
                    stamp,
                });
            }
            Err(error) => return self.unreadable(relative, error),
        }
        if self.found.files.len() > MAX_FILES {
            return Err(Stop::Bound(format!(
                "it holds more than {MAX_FILES} archives; divide them between several folders and repositories"
            )));
        }
        Ok(())
    }
}
