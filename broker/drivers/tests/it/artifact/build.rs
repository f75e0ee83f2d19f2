//! Makes archives, good ones and bad ones.

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
};

use bzip2::write::BzEncoder;
use flate2::write::GzEncoder;
use tar::{EntryType, Header};
use zip::{ZipWriter, write::SimpleFileOptions};

/// A composer.json with a name and a version.
pub(crate) fn composer_json(name: &str, version: &str) -> String {
    format!(
        r#"{{"name":"{name}","version":"{version}","type":"library","require":{{"php":">=7.4"}}}}"#
    )
}

/// A zip of these files; a name that ends in a slash is a folder.
pub(crate) fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        if let Some(folder) = name.strip_suffix('/') {
            writer
                .add_directory(folder, SimpleFileOptions::default())
                .unwrap();
        } else {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
    }
    writer.finish().unwrap().into_inner()
}

/// A zip of one package in a top folder, as hosts make them.
pub(crate) fn package_zip(name: &str, version: &str) -> Vec<u8> {
    let json = composer_json(name, version);
    zip(&[
        ("lib-1/", b""),
        ("lib-1/composer.json", json.as_bytes()),
        ("lib-1/src/A.php", b"<?php"),
    ])
}

/// A tar whose entries are written as they are given, whatever their names are.
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// An entry whose header states the size of its content.
    pub(crate) fn entry(self, kind: EntryType, name: &str, content: &[u8]) -> Self {
        self.lying(kind, name, content, content.len() as u64)
    }

    pub(crate) fn file(self, name: &str, content: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, content)
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, b"")
    }

    /// An entry that states another size.
    pub(crate) fn lying(mut self, kind: EntryType, name: &str, content: &[u8], size: u64) -> Self {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// Ends the archive.
    pub(crate) fn done(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

/// A plain tar of one package in a top folder.
pub(crate) fn package_tar(name: &str, version: &str) -> Vec<u8> {
    let json = composer_json(name, version);
    Tar::new()
        .folder("lib-1/")
        .file("lib-1/composer.json", json.as_bytes())
        .file("lib-1/a.php", b"<?php")
        .done()
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(crate) fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A folder that is removed with the test.
pub(crate) struct Artifacts(tempfile::TempDir);

impl Artifacts {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, with the folders it lies in.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }
}
