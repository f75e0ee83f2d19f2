//! The files of a commit's tree, in the order of their paths.

use gix::{
    ObjectId,
    objs::tree::{EntryKind, EntryRef},
};
use package_broker_core::ports::source::SourceError;

use super::attributes::Attributes;
use crate::source::git::{session::Session, trouble::Trouble};

/// The most files of one archive: what a zip file holds without extensions, less its top folder.
const MAX_FILES: usize = 65_000;

/// The most bytes of a `.gitattributes`. git ignores a larger file too, though its bound is higher.
const MAX_ATTRIBUTES: u64 = 1 << 20;

/// The deepest folder.
const MAX_DEPTH: usize = 100;

/// What a file of a tree is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// Mode 0644.
    Plain,
    /// Mode 0755.
    Executable,
    /// A symbolic link; its content is the target.
    Link,
}

/// A file of a tree.
#[derive(Debug)]
pub(super) struct TreeFile {
    /// From the archive's top, with slashes.
    pub(super) path: Vec<u8>,
    /// Its content.
    pub(super) blob: ObjectId,
    /// What it is.
    pub(super) kind: FileKind,
    /// Whether `export-ignore` is set for it or a folder above.
    pub(super) ignored: bool,
}

/// Collects the files of a tree.
pub(super) struct Walk<'a> {
    repository: &'a gix::Repository,
    session: &'a Session,
    with_ignored: bool,
    attributes: Attributes,
    files: Vec<TreeFile>,
}

impl<'a> Walk<'a> {
    /// A walk that leaves ignored folders out, unless `with_ignored`.
    pub(super) fn new(
        repository: &'a gix::Repository,
        session: &'a Session,
        with_ignored: bool,
    ) -> Self {
        Self {
            repository,
            session,
            with_ignored,
            attributes: Attributes::default(),
            files: Vec::new(),
        }
    }

    /// All files below `path`, with paths relative to it. `.gitattributes` files above it count too.
    ///
    /// # Errors
    /// [`Trouble::Damaged`] for objects that cannot be read; [`SourceError::Invalid`] for trees that no archive can
    /// hold.
    pub(super) fn files(
        mut self,
        top: &gix::Tree<'_>,
        path: Option<&str>,
    ) -> Result<Vec<TreeFile>, Trouble> {
        let mut tree = top.clone();
        let mut prefix = Vec::new();
        for part in path.into_iter().flat_map(|path| path.split('/')) {
            self.read_attributes(&tree, &prefix)?;
            let entry = tree.find_entry(part).filter(|entry| entry.mode().is_tree());
            let Some(entry) = entry else {
                return Err(invalid(&format!(
                    "the commit has no folder {}",
                    path.unwrap_or_default()
                )));
            };
            let below = entry
                .object()
                .map_err(Trouble::damaged)?
                .try_into_tree()
                .map_err(Trouble::damaged)?;
            tree = below;
            prefix.extend_from_slice(part.as_bytes());
            prefix.push(b'/');
        }
        let from = prefix.len();
        self.enter(&tree, &mut prefix, false, 0)?;
        for file in &mut self.files {
            file.path.drain(..from);
        }
        Ok(self.files)
    }

    /// Git sorts a tree's entries such that walking them in order gives paths in order.
    fn enter(
        &mut self,
        tree: &gix::Tree<'_>,
        folder: &mut Vec<u8>,
        ignored: bool,
        depth: usize,
    ) -> Result<(), Trouble> {
        if depth > MAX_DEPTH {
            return Err(invalid(&format!(
                "it has folders nested deeper than {MAX_DEPTH}"
            )));
        }
        let depth_before = self.attributes.depth();
        self.read_attributes(tree, folder)?;
        for entry in tree.iter() {
            let entry = entry.map_err(Trouble::damaged)?;
            let length = folder.len();
            folder.extend_from_slice(checked_name(&entry.inner)?);
            self.visit(&entry, folder, ignored, depth)?;
            folder.truncate(length);
        }
        self.attributes.back_to(depth_before);
        Ok(())
    }

    fn visit(
        &mut self,
        entry: &gix::object::tree::EntryRef<'_, '_>,
        path: &mut Vec<u8>,
        ignored: bool,
        depth: usize,
    ) -> Result<(), Trouble> {
        if self.session.is_stopped() {
            return Err(invalid("the building was stopped"));
        }
        let is_tree = entry.mode().is_tree();
        let ignored = ignored || self.attributes.export_ignore(path, is_tree);
        if ignored && !self.with_ignored {
            return Ok(());
        }
        let kind = match entry.mode().kind() {
            EntryKind::Tree => {
                let tree = entry
                    .object()
                    .map_err(Trouble::damaged)?
                    .try_into_tree()
                    .map_err(Trouble::damaged)?;
                path.push(b'/');
                return self.enter(&tree, path, ignored, depth + 1);
            }
            EntryKind::Commit => return Ok(()),
            EntryKind::Blob => FileKind::Plain,
            EntryKind::BlobExecutable => FileKind::Executable,
            EntryKind::Link => FileKind::Link,
        };
        if self.files.len() >= MAX_FILES {
            return Err(invalid(&format!("it has more than {MAX_FILES} files")));
        }
        self.files.push(TreeFile {
            path: path.clone(),
            blob: entry.object_id(),
            kind,
            ignored,
        });
        Ok(())
    }

    fn read_attributes(&mut self, tree: &gix::Tree<'_>, folder: &[u8]) -> Result<(), Trouble> {
        let Some(entry) = tree
            .find_entry(".gitattributes")
            .filter(|entry| entry.mode().is_blob())
        else {
            return Ok(());
        };
        let size = self
            .repository
            .find_header(entry.object_id())
            .map_err(Trouble::damaged)?
            .size();
        if size <= MAX_ATTRIBUTES {
            let blob = self
                .repository
                .find_object(entry.object_id())
                .map_err(Trouble::damaged)?;
            self.attributes.add(&blob.data, folder);
        }
        Ok(())
    }
}

/// A name that is safe to unpack; git refuses to check others out.
fn checked_name<'a>(entry: &EntryRef<'a>) -> Result<&'a [u8], Trouble> {
    let name: &[u8] = entry.filename.as_ref();
    let safe = !name.is_empty()
        && name != b"."
        && name != b".."
        && !name.eq_ignore_ascii_case(b".git")
        && !name.iter().any(|byte| matches!(byte, b'/' | b'\\' | 0));
    if safe {
        Ok(name)
    } else {
        Err(invalid(&format!(
            "its tree has an entry named \"{}\"",
            name.escape_ascii()
        )))
    }
}

/// Whether a file can be unpacked without reaching beyond the archive. Links have to stay inside, and may go up only
/// at their start: what is above a folder they passed depends on other links.
pub(super) fn is_safe(file: &TreeFile, content: &[u8]) -> bool {
    if file.kind != FileKind::Link {
        return true;
    }
    if content.is_empty()
        || content.starts_with(b"/")
        || content.contains(&0)
        || content.contains(&b'\\')
    {
        return false;
    }
    let depth = file.path.split(|byte| *byte == b'/').count() - 1;
    let mut parts = content
        .split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .peekable();
    let mut up = 0;
    while parts.next_if(|part| *part == b"..").is_some() {
        up += 1;
    }
    up <= depth && parts.all(|part| part != b"..")
}

fn invalid(problem: &str) -> Trouble {
    Trouble::Source(SourceError::Invalid {
        what: "the commit".to_owned(),
        problem: problem.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let link = |path: &str, target: &str| {
            let blob = ObjectId::null(gix::hash::Kind::Sha1);
            let file = TreeFile {
                path: path.into(),
                blob,
                kind: FileKind::Link,
                ignored: false,
            };
            is_safe(&file, target.as_bytes())
        };
        for (path, target) in [
            ("a", "b"),
            ("a", "./b/c"),
            ("d/a", "../b"),
            ("d/e/a", "../../b/c"),
            ("d/a", ".."),
        ] {
            assert!(link(path, target), "{path} -> {target}");
        }
        for (path, target) in [
            ("a", ""),
            ("a", "/etc/passwd"),
            ("a", "../b"),
            ("d/a", "../../b"),
            ("d/e/a", "b/../../../x"),
            ("a", "b/.."),
            ("a", "..\\b"),
        ] {
            assert!(!link(path, target), "{path} -> {target}");
        }
    }
}
