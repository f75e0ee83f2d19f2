//! `export-ignore` of `.gitattributes`, with git's own rules.

use std::path::{Path, PathBuf};

use gix::{
    attrs::{
        Search, StateRef,
        search::{MetadataCollection, Outcome},
    },
    glob::pattern::Case,
};

/// The one attribute that matters to archives.
const EXPORT_IGNORE: &str = "export-ignore";

/// The `.gitattributes` files on the way from the top to a folder.
#[derive(Default)]
pub(super) struct Attributes {
    search: Search,
    names: MetadataCollection,
    outcome: Outcome,
}

impl Attributes {
    /// Adds the file of a folder; `folder` is its path from the top, with a slash at its end, or empty. Only the
    /// top's file may define macros, as in git.
    pub(super) fn add(&mut self, text: &[u8], folder: &[u8]) {
        let folder = PathBuf::from(String::from_utf8_lossy(folder).into_owned());
        let is_top = folder.as_os_str().is_empty();
        let source = folder.join(".gitattributes");
        // Fails only for a source outside of the root, and the root is the top.
        let _ = self.search.add_patterns_buffer(
            text,
            source,
            Some(Path::new("")),
            &mut self.names,
            is_top,
        );
        self.outcome
            .initialize_with_selection(&self.names, [EXPORT_IGNORE]);
    }

    /// How many files were added.
    pub(super) fn depth(&self) -> usize {
        self.search.num_pattern_lists()
    }

    /// Forgets the files added last, down to `depth`.
    pub(super) fn back_to(&mut self, depth: usize) {
        while self.search.num_pattern_lists() > depth {
            self.search.pop_pattern_list();
        }
    }

    /// Whether the attribute is set for a path from the top.
    pub(super) fn export_ignore(&mut self, path: &[u8], is_folder: bool) -> bool {
        if self.search.num_pattern_lists() == 0 {
            return false;
        }
        self.outcome.reset();
        self.search.pattern_matching_relative_path(
            path.into(),
            Case::Sensitive,
            Some(is_folder),
            &mut self.outcome,
        );
        self.outcome
            .iter_selected()
            .any(|found| matches!(found.assignment.state, StateRef::Set))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_macros_and_nested_files_count_as_in_git() {
        let mut attributes = Attributes::default();
        attributes.add(
            b"[attr]internal export-ignore\n/tests export-ignore\ndocs/ export-ignore\n*.neon internal\n\
              keep.neon -export-ignore\nvalue export-ignore=no\n",
            b"",
        );
        for (path, is_folder, expected) in [
            ("tests", true, true),
            ("src/tests", true, false),
            ("docs", true, true),
            ("docs", false, false),
            ("src/docs", true, true),
            ("a/phpstan.neon", false, true),
            ("a/keep.neon", false, false),
            ("value", false, false),
            ("src/a.php", false, false),
        ] {
            assert_eq!(
                attributes.export_ignore(path.as_bytes(), is_folder),
                expected,
                "{path}"
            );
        }
        let depth = attributes.depth();
        attributes.add(
            b"a.php export-ignore\n/phpstan.neon -export-ignore\n",
            b"src/",
        );
        assert!(attributes.export_ignore(b"src/a.php", false));
        assert!(!attributes.export_ignore(b"src/phpstan.neon", false));
        assert!(!attributes.export_ignore(b"a.php", false));
        attributes.back_to(depth);
        assert!(!attributes.export_ignore(b"src/a.php", false));
    }
}
