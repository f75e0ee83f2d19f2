//! Which files hold manifests.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Most files that are read at once.
const MAX_FILES: usize = 4096;

/// The files that the paths stand for, in order, each once: a file itself, and of a folder the
/// visible `*.yaml`, `*.yml` and `*.json` at its top level, by name.
///
/// Also the paths that stand for nothing, with the reason.
pub(super) fn list(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<(PathBuf, String)>) {
    let mut files = Vec::new();
    let mut failures = Vec::new();
    let mut seen = BTreeSet::new();
    for path in paths {
        match files_of(path) {
            Ok(found) if found.is_empty() => {
                failures.push((
                    path.clone(),
                    "has no *.yaml, *.yml or *.json files".to_owned(),
                ));
            }
            Ok(found) => {
                let new = |file: &PathBuf| {
                    seen.insert(file.canonicalize().unwrap_or_else(|_| file.clone()))
                };
                files.extend(found.into_iter().filter(new));
            }
            Err(error) => failures.push((path.clone(), format!("cannot be read: {error}"))),
        }
    }
    if files.len() > MAX_FILES {
        let folder = files.swap_remove(MAX_FILES);
        failures.push((
            folder,
            format!("is beyond the {MAX_FILES} files that are read"),
        ));
        files.truncate(MAX_FILES);
    }
    (files, failures)
}

fn files_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = path.join(entry?.file_name());
        // Follows links: mounted ConfigMaps consist of them.
        if is_manifest_name(&file) && fs::metadata(&file).is_ok_and(|metadata| metadata.is_file()) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
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
