//! Where a mirror lies, and how a new one takes the place of the old.
//!
//! A clone is made beside the mirror, and the folders change names when it is whole: until then the old one serves.

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

/// A folder and the two that are beside it for the time of a change. No mirror's name has a dot in it.
pub(super) struct Place {
    /// The mirror.
    pub(super) current: PathBuf,
    /// A clone that is not whole yet.
    pub(super) new: PathBuf,
    /// The mirror of before, for the moment of a change.
    old: PathBuf,
}

impl Place {
    /// The places for a mirror at `current`.
    pub(super) fn of(current: PathBuf) -> Self {
        let beside = |end: &str| {
            let mut name = OsString::from(&current);
            name.push(end);
            PathBuf::from(name)
        };
        Self {
            new: beside(".new"),
            old: beside(".old"),
            current,
        }
    }

    /// Puts the new mirror in the place of the current one.
    ///
    /// # Errors
    /// If folders cannot be renamed; the current one then stays.
    pub(super) fn change(&self) -> io::Result<()> {
        remove(&self.old);
        match fs::rename(&self.current, &self.old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if let Err(error) = fs::rename(&self.new, &self.current) {
            self.restore();
            return Err(error);
        }
        remove(&self.old);
        Ok(())
    }

    /// Removes what a killed process left: nobody else uses the mirror. Clones that were not whole, and inside of the
    /// mirror locks, half-written packs, packs without index.
    pub(super) fn sweep(&self) {
        if !self.current.exists() {
            self.restore();
        }
        remove(&self.old);
        remove(&self.new);
        sweep_inside(&self.current);
    }

    /// Back to the mirror of before a change that was not finished.
    fn restore(&self) {
        match fs::rename(&self.old, &self.current) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(mirror = %self.current.display(), %error, "the git mirror of before could not be put back");
            }
            _ => {}
        }
    }
}

/// Removes a folder, if it is there.
pub(super) fn remove(directory: &Path) {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(mirror = %directory.display(), %error, "a git mirror could not be removed");
        }
        _ => {}
    }
}

fn sweep_inside(directory: &Path) {
    let packs = directory.join("objects/pack");
    for folder in [directory, &packs] {
        for file in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = file.path();
            let ends = |end: &str| path.extension().is_some_and(|extension| extension == end);
            let litter = ends("lock")
                || ends("new")
                || (folder == packs
                    && !ends("idx")
                    && !(ends("pack") && path.with_extension("idx").exists()));
            if litter && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "litter in a git mirror could not be removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn place(folder: &TempDir, names: &[&str]) -> Place {
        for name in names {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("which"), name).unwrap();
        }
        Place::of(folder.path().join("m"))
    }

    fn which(place: &Place) -> Option<String> {
        fs::read_to_string(place.current.join("which")).ok()
    }

    #[test]
    fn a_change_that_was_cut_off_leaves_one_of_the_two() {
        for (left, expected) in [
            (&["m", "m.new"][..], Some("m")),
            (&["m.old", "m.new"], Some("m.old")),
            (&["m", "m.old"], Some("m")),
            (&["m.new"], None),
            (&[], None),
        ] {
            let folder = TempDir::new().unwrap();
            let place = place(&folder, left);
            place.sweep();
            assert_eq!(which(&place).as_deref(), expected, "{left:?}");
            assert!(!place.new.exists() && !place.old.exists(), "{left:?}");
        }
    }

    #[test]
    fn without_a_new_mirror_the_current_one_stays() {
        let folder = TempDir::new().unwrap();
        let place = place(&folder, &["m"]);
        assert!(place.change().is_err());
        assert_eq!(which(&place).as_deref(), Some("m"));
    }
}
