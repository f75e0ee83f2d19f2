//! Container images, written without a registry or a container engine: an OCI layout of one layer, in a tar archive.
//!
//! The same input gives the same bytes, and so the same digest: entries are sorted, times are zero, nobody owns anything.

mod debian;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result};
use pem::{EncodeConfig, LineEnding, Pem};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// The user that images run as: nobody that exists, as the restricted Pod Security Standard wants it.
pub const USER: u32 = 65_532;

/// One thing in an image.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A folder, with its mode.
    Folder(u32),
    /// A file with its mode and contents.
    File(u32, Vec<u8>),
    /// A symbolic link to a path.
    Link(String),
}

/// An image: what is in it and what it runs.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its names.
    references: Vec<String>,
    entries: BTreeMap<String, Entry>,
    config: Value,
}

impl Image {
    /// An empty image of that name that runs `entrypoint` as [`USER`].
    pub fn new(reference: &str, entrypoint: &[&str]) -> Self {
        Self {
            references: vec![reference.to_owned()],
            entries: BTreeMap::new(),
            config: json!({"User": format!("{USER}:{USER}"), "Entrypoint": entrypoint, "WorkingDir": "/"}),
        }
    }

    /// An image of a static program of ours: the program, the certificates of the usual authorities, and the names of
    /// its user. A process there needs nothing else.
    ///
    /// # Errors
    /// If the program cannot be read.
    pub fn of_program(reference: &str, program: &Path) -> Result<Self> {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let path = format!("/{name}");
        let mut image = Self::new(reference, &[&path]);
        image.add(&path, Entry::File(0o755, read(program)?));
        // Where Debian has them, and every TLS library looks.
        image.add(
            "/etc/ssl/certs/ca-certificates.crt",
            Entry::File(0o644, authorities().into_bytes()),
        );
        let passwd = format!("nonroot:x:{USER}:{USER}::/:/sbin/nologin\n");
        image.add("/etc/passwd", Entry::File(0o644, passwd.into()));
        image.add(
            "/etc/group",
            Entry::File(0o644, format!("nonroot:x:{USER}:\n").into()),
        );
        image.add("/tmp", Entry::Folder(0o1777));
        Ok(image)
    }

    /// Adds the Debian packages of these names as they are installed on this machine, with what they depend on.
    ///
    /// # Errors
    /// If one is not installed.
    pub fn add_debian_packages(&mut self, packages: &[&str]) -> Result<()> {
        debian::add(self, packages)
    }

    /// Gives the same image another name too.
    #[must_use]
    pub fn also(mut self, reference: &str) -> Self {
        self.references.push(reference.to_owned());
        self
    }

    /// Sets a field of the configuration, `Env` for instance.
    #[must_use]
    pub fn with(mut self, field: &str, value: Value) -> Self {
        self.config[field] = value;
        self
    }

    /// Adds an entry at an absolute path, and the folders that it is in.
    pub fn add(&mut self, path: &str, entry: Entry) {
        let path = path.trim_matches('/');
        for (end, _) in path.match_indices('/') {
            self.entries
                .entry(path[..end].to_owned())
                .or_insert(Entry::Folder(0o755));
        }
        self.entries.insert(path.to_owned(), entry);
    }

    /// Adds a whole folder of this machine at an absolute path.
    ///
    /// # Errors
    /// If something in it cannot be read.
    pub fn add_tree(&mut self, at: &str, from: &Path) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
            let entry = entry?;
            let path = format!("{at}/{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type()?;
            if kind.is_symlink() {
                let target = fs::read_link(entry.path())?;
                self.add(&path, Entry::Link(target.to_string_lossy().into_owned()));
            } else if kind.is_dir() {
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                self.add(&path, Entry::Folder(mode));
                self.add_tree(&path, &entry.path())?;
            } else if kind.is_file() {
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                self.add(&path, Entry::File(mode, read(&entry.path())?));
            }
        }
        Ok(())
    }

    /// Writes the image as an archive that `ctr images import`, `skopeo` and `podman load` read, and returns its digest.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, file: &Path) -> Result<String> {
        let layer = self.layer()?;
        let configuration = json!({
            "architecture": "amd64", "os": "linux", "config": self.config,
            "rootfs": {"type": "layers", "diff_ids": [digest(&layer)]},
        });
        let configuration = serde_json::to_vec(&configuration)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &configuration),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
        });
        let manifest = serde_json::to_vec(&manifest)?;
        let listed: Vec<Value> = self
            .references
            .iter()
            .map(|reference| {
                let (_, tag) = reference.rsplit_once(':').unwrap_or(("", "latest"));
                let mut one = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
                one["annotations"] = json!({
                    "io.containerd.image.name": reference,
                    "org.opencontainers.image.ref.name": tag,
                });
                one
            })
            .collect();
        let index = json!({"schemaVersion": 2, "manifests": listed});
        let out = File::create(file).with_context(|| file.display().to_string())?;
        let mut archive = tar::Builder::new(std::io::BufWriter::new(out));
        append(
            &mut archive,
            "oci-layout",
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        )?;
        append(&mut archive, "index.json", &serde_json::to_vec(&index)?)?;
        for blob in [&manifest, &configuration, &layer] {
            let name = digest(blob).replace(':', "/");
            append(&mut archive, &format!("blobs/{name}"), blob)?;
        }
        archive.into_inner()?.flush()?;
        Ok(digest(&manifest))
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, entry) in &self.entries {
            let mut header = Header::new_gnu();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            match entry {
                Entry::Folder(mode) => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(*mode);
                    header.set_size(0);
                    archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
                }
                Entry::File(mode, bytes) => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_mode(*mode);
                    header.set_size(bytes.len() as u64);
                    archive.append_data(&mut header, path, &bytes[..])?;
                }
                Entry::Link(target) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    archive.append_link(&mut header, path, target)?;
                }
            }
        }
        Ok(archive.into_inner()?)
    }
}

/// The authorities that Mozilla trusts, in PEM: those of a release of a crate, not of this machine, so that the same sources
/// give the same image.
fn authorities() -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let certificates = TLS_SERVER_ROOT_CERTS.iter();
    certificates
        .map(|certificate| pem::encode_config(&Pem::new("CERTIFICATE", &certificate[..]), lines))
        .collect()
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{} cannot be read", path.display()))
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

fn append(archive: &mut tar::Builder<impl Write>, name: &str, bytes: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_size(bytes.len() as u64);
    Ok(archive.append_data(&mut header, name, bytes)?)
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::{CertificateDer, pem::PemObject as _};

    use super::*;

    #[test]
    fn the_same_contents_have_the_same_digest() {
        let folder = tempfile::tempdir().unwrap();
        let make = |paths: &[&str]| {
            let mut image = Image::new("localhost/x:1", &["/x"]);
            for path in paths {
                image.add(path, Entry::File(0o644, path.as_bytes().to_vec()));
            }
            image.write(&folder.path().join("x.tar")).unwrap()
        };
        assert_eq!(make(&["/a/b", "/c"]), make(&["/c", "/a/b"]));
        assert_ne!(make(&["/a/b"]), make(&["/a/c"]));
    }

    #[test]
    fn the_authorities_are_certificates() {
        let text = authorities();
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        assert!(TLS_SERVER_ROOT_CERTS.len() > 100);
        assert_eq!(read.unwrap(), TLS_SERVER_ROOT_CERTS);
    }

    #[test]
    fn the_same_program_makes_the_same_archive_whenever_and_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let written = |place: &str| {
            let program = folder.path().join(place).join("program");
            fs::create_dir_all(program.parent().unwrap()).unwrap();
            fs::write(&program, b"a program").unwrap();
            let image = Image::of_program("localhost/program:1", &program).unwrap();
            let archive = folder.path().join(place).join("program.tar");
            let digest = image.write(&archive).unwrap();
            (digest, fs::read(archive).unwrap())
        };
        let (one, other) = (written("one"), written("quite/another"));
        assert_eq!(one.0, other.0);
        assert!(one.1 == other.1, "the archives differ");
    }
}
