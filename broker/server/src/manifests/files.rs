//! Which files hold manifests, and what is in them.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
};

use super::Problem;

/// Most files that are read at once.
const MAX_FILES: usize = 4096;
/// Largest file that is read, in bytes.
pub(super) const MAX_FILE_SIZE: u64 = 8 << 20;

/// Why a path cannot be read.
pub(super) struct Failure {
    path: PathBuf,
    message: String,
    fix: &'static str,
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self {
            file: failure.path,
            message: failure.message,
            fix: failure.fix.to_owned(),
            ..Self::default()
        }
    }
}

/// The files that the paths stand for, in order, each once: a file itself, and of a folder the
/// visible `*.yaml`, `*.yml` and `*.json` at its top level, by name. Regular files only: opening
/// anything else could wait for ever, or take away what the next reader should find.
///
/// Also why paths stand for nothing.
pub(super) fn list(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<Failure>) {
    let mut files = Vec::new();
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        for found in files_of(path) {
            match found {
                Ok(file) => {
                    if seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone())) {
                        files.push(file);
                    }
                }
                Err(failure) => failures.push(failure),
            }
        }
    }
    if files.len() > MAX_FILES {
        let message = format!("is beyond the {MAX_FILES} files that are read");
        failures.push(failure(
            &files.swap_remove(MAX_FILES),
            message,
            "put several documents into a file",
        ));
        files.truncate(MAX_FILES);
    }
    (files, failures)
}

fn files_of(path: &Path) -> Vec<Result<PathBuf, Failure>> {
    if path == Path::new("-") {
        return vec![Err(read_once(path, "standard input"))];
    }
    let unreadable = |error: io::Error| {
        let message = format!("cannot be read: {error}");
        vec![Err(failure(
            path,
            message,
            "name files or folders that exist with -f",
        ))]
    };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => match files_in(path) {
            Ok(files) if files.is_empty() => vec![Err(failure(
                path,
                "has no *.yaml, *.yml or *.json files".to_owned(),
                "name files or folders that exist with -f",
            ))],
            Ok(files) => files,
            Err(error) => unreadable(error),
        },
        Ok(metadata) => vec![regular(path, &metadata)],
        Err(error) => unreadable(error),
    }
}

fn files_in(folder: &Path) -> io::Result<Vec<Result<PathBuf, Failure>>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(folder.join(entry?.file_name()));
    }
    names.retain(|file| is_manifest_name(file));
    names.sort();
    // Follows links: mounted ConfigMaps consist of them.
    let judged = names.iter().filter_map(|file| match fs::metadata(file) {
        Ok(metadata) if !metadata.is_dir() => Some(regular(file, &metadata)),
        _ => None,
    });
    Ok(judged.collect())
}

/// The path, if it leads to a regular file.
fn regular(path: &Path, metadata: &fs::Metadata) -> Result<PathBuf, Failure> {
    if metadata.is_file() {
        Ok(path.to_owned())
    } else if metadata.file_type().is_fifo() {
        Err(read_once(path, "a pipe"))
    } else {
        let message = "is neither a file nor a folder".to_owned();
        Err(failure(path, message, "name a file or a folder with -f"))
    }
}

fn read_once(path: &Path, what: &str) -> Failure {
    let message = format!(
        "is {what}, which can be read only once; manifests are read again when they change"
    );
    failure(
        path,
        message,
        "write its contents to a file that only you can read, and name that with -f",
    )
}

/// The text of a file.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    let bytes = read_bounded(file).map_err(|error| {
        let message = format!("cannot be read: {error}");
        failure(file, message, "check that it exists and who may read it")
    })?;
    if bytes.len() as u64 > MAX_FILE_SIZE {
        let message = "is larger than 8 MiB".to_owned();
        return Err(failure(file, message, "split it into several files"));
    }
    String::from_utf8(bytes)
        .map_err(|_| failure(file, "is not UTF-8".to_owned(), "save it as UTF-8"))
}

fn read_bounded(file: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)?
        .take(MAX_FILE_SIZE + 1)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn failure(path: &Path, message: String, fix: &'static str) -> Failure {
    Failure {
        path: path.to_owned(),
        message,
        fix,
    }
}

fn is_manifest_name(file: &Path) -> bool {
    let hidden = file
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let extension = file
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    !hidden && ["yaml", "yml", "json"].contains(&extension)
}
