//! Zip archives with the same bytes for the same tree, whenever and wherever they are made.

use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::tree::{PackageTree, files_below};

/// A zip of all files below `root`: entries sorted, times fixed to 1980, modes 644 or 755.
pub fn zip_tree(root: &Path) -> Result<Vec<u8>> {
    zip_with(root, None)
}

/// The same of a package, with the version added to its `composer.json`: a folder of artifacts
/// has no tags to take it from.
pub fn zip_artifact(package: &PackageTree) -> Result<Vec<u8>> {
    let mut composer = package.composer.clone();
    composer.insert("version".to_owned(), package.version.as_str().into());
    zip_with(&package.path, Some(&serde_json::to_vec_pretty(&composer)?))
}

fn zip_with(root: &Path, composer: Option<&[u8]>) -> Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files_below(root)? {
        let path = root.join(&file);
        let executable = fs::metadata(&path)?.permissions().mode() & 0o100 != 0;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(if executable { 0o755 } else { 0o644 });
        let name = file
            .to_str()
            .with_context(|| format!("{} is not UTF-8", path.display()))?;
        zip.start_file(name, options)?;
        match composer {
            Some(composer) if name == "composer.json" => zip.write_all(composer)?,
            _ => zip.write_all(&fs::read(&path)?)?,
        }
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_tree_gives_the_same_bytes() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (directory, names) in [(&one, ["a.php", "b.php"]), (&two, ["b.php", "a.php"])] {
            for name in names {
                fs::write(directory.path().join(name), name).unwrap();
            }
        }
        let zip = zip_tree(one.path()).unwrap();
        assert_eq!(zip, zip_tree(two.path()).unwrap());
        assert!(zip.starts_with(b"PK"));
    }
}
