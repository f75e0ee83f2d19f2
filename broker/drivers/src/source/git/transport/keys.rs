//! Where private keys lie for the length of a conversation.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use tempfile::TempDir;

/// Below the folder of mirrors, none of which begins with a dot.
const FOLDER: &str = ".keys";

/// A folder for private keys below the git cache, for this user alone. A key that a killed process left is removed when
/// the folder is first looked at.
pub(in crate::source) struct KeyFolder {
    path: PathBuf,
    claim: Mutex<Claim>,
}

/// Whether the folder is ours to sweep. That is found out once: later, keys of ours may be in it.
#[derive(Default)]
enum Claim {
    #[default]
    Untried,
    /// Held while the process lives, so that no other one removes keys that are in use.
    Ours { _lock: File },
    /// Another process sweeps.
    Theirs,
}

impl KeyFolder {
    /// The folder below `git_dir`, swept unless it is in use. One that is not there is made with the first key.
    pub(in crate::source) fn of(git_dir: &Path) -> Arc<Self> {
        static FOLDERS: OnceLock<Mutex<HashMap<PathBuf, Weak<KeyFolder>>>> = OnceLock::new();
        let path = git_dir.join(FOLDER);
        let folders = FOLDERS.get_or_init(Mutex::default);
        let mut folders = folders.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = folders.get(&path).and_then(Weak::upgrade) {
            return folder;
        }
        folders.retain(|_, folder| folder.strong_count() > 0);
        let folder = Arc::new(Self {
            path: path.clone(),
            claim: Mutex::default(),
        });
        if path.is_dir()
            && let Err(error) = folder.claim()
        {
            tracing::warn!(folder = %path.display(), %error, "the folder of ssh keys could not be emptied");
        }
        folders.insert(path, Arc::downgrade(&folder));
        folder
    }

    /// A folder of its own for one conversation, removed with the value.
    ///
    /// # Errors
    /// If it cannot be made.
    pub(super) fn make_room(&self) -> io::Result<TempDir> {
        let private = Permissions::from_mode(0o700);
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&self.path)?;
        fs::set_permissions(&self.path, private.clone())?;
        self.claim()?;
        tempfile::Builder::new()
            .permissions(private)
            .tempdir_in(&self.path)
    }

    /// Takes the lock and removes what is there, the first time, unless another process has it.
    fn claim(&self) -> io::Result<()> {
        let mut claim = self.claim.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*claim, Claim::Untried) {
            return Ok(());
        }
        let lock = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(self.path.join("lock"))?;
        match lock.try_lock() {
            Ok(()) => {
                *claim = Claim::Ours { _lock: lock };
                self.sweep()
            }
            Err(TryLockError::WouldBlock) => {
                *claim = Claim::Theirs;
                Ok(())
            }
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn sweep(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            match fs::remove_dir_all(entry.path()) {
                Err(error) if error.kind() == ErrorKind::NotADirectory => {}
                other => other?,
            }
        }
        Ok(())
    }
}
