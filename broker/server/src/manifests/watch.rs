//! Says when manifests changed.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    os::unix::fs::MetadataExt,
    path::PathBuf,
    time::Duration,
};

use super::files;

/// Time between two looks at the files.
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Looks at files and folders twice a second, and tells of changes once they have settled.
///
/// Polling rather than the kernel's notifications: it sees the swapped links of mounted
/// `ConfigMap`s, network file systems and files that an editor replaces, all in the same way.
pub(crate) struct Watcher {
    paths: Vec<PathBuf>,
    interval: Duration,
    /// What was last told: the look of the files, and what they held.
    told: State,
}

/// The files by path, and a hash of their contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    stamps: BTreeMap<PathBuf, Stamp>,
    contents: u64,
}

/// What changes when a file does: size, inode, time of change of its content and of its entry.
type Stamp = (u64, u64, (i64, i64), (i64, i64));

impl Watcher {
    /// Starts from the present state of the files. Reads from disk: call it where blocking is
    /// allowed, and before [`load`](super::load), so that no change falls in between.
    pub(crate) fn new(paths: Vec<PathBuf>) -> Self {
        Self::every(POLL_INTERVAL, paths)
    }

    fn every(interval: Duration, paths: Vec<PathBuf>) -> Self {
        let stamps = stamps(&paths);
        let contents = contents(&stamps);
        Self {
            paths,
            interval,
            told: State { stamps, contents },
        }
    }

    /// Waits until the contents of the files differ from what they were at the last return, and
    /// have been the same for two looks. Cancel safe: a change that was not told is told next time.
    pub(crate) async fn changed(&mut self) {
        let mut last = self.told.stamps.clone();
        loop {
            tokio::time::sleep(self.interval).await;
            let (seen, settled) = self.look(last).await;
            if settled && seen.stamps != self.told.stamps {
                let differs = seen.contents != self.told.contents;
                self.told = seen;
                if differs {
                    return;
                }
                last = self.told.stamps.clone();
            } else {
                last = seen.stamps;
            }
        }
    }

    /// The state now, and whether it is that of the last look. Contents are read only when the
    /// files have settled into a look that was not told.
    async fn look(&self, last: BTreeMap<PathBuf, Stamp>) -> (State, bool) {
        let (paths, told) = (self.paths.clone(), self.told.clone());
        let look = move || {
            let stamps = stamps(&paths);
            let settled = stamps == last;
            let contents = if settled && stamps != told.stamps {
                contents(&stamps)
            } else {
                told.contents
            };
            (State { stamps, contents }, settled)
        };
        // A look that failed saw nothing new.
        tokio::task::spawn_blocking(look)
            .await
            .unwrap_or_else(|_| (self.told.clone(), false))
    }
}

fn stamps(paths: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    let (files, _) = files::list(paths);
    files
        .into_iter()
        .filter_map(|file| {
            let meta = fs::metadata(&file).ok()?;
            let stamp = (
                meta.size(),
                meta.ino(),
                (meta.mtime(), meta.mtime_nsec()),
                (meta.ctime(), meta.ctime_nsec()),
            );
            Some((file, stamp))
        })
        .collect()
}

fn contents(stamps: &BTreeMap<PathBuf, Stamp>) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in stamps.keys() {
        file.hash(&mut hasher);
        // A file beyond the bound is an error to the loader: its stamp says enough.
        match fs::metadata(file) {
            Ok(meta) if meta.len() <= files::MAX_FILE_SIZE => {
                fs::read(file).ok().hash(&mut hasher);
            }
            Ok(meta) => (meta.len(), meta.mtime(), meta.mtime_nsec()).hash(&mut hasher),
            Err(_) => {}
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    const SHORT: Duration = Duration::from_millis(10);

    /// Whether a change is told within a time that is ample for one, or short for none.
    async fn told(watcher: &mut Watcher, wait: Duration) -> bool {
        tokio::time::timeout(wait, watcher.changed()).await.is_ok()
    }

    #[tokio::test]
    async fn tells_of_new_changed_replaced_and_removed_files() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "a: 1").unwrap();
        let mut watcher = Watcher::every(SHORT, vec![folder.path().to_owned()]);
        let ample = Duration::from_secs(20);

        fs::write(&file, "a: 2").unwrap();
        assert!(told(&mut watcher, ample).await, "changed");
        fs::write(folder.path().join("b.yml"), "b: 1").unwrap();
        assert!(told(&mut watcher, ample).await, "new");
        fs::write(folder.path().join("next"), "a: 3").unwrap();
        fs::rename(folder.path().join("next"), &file).unwrap();
        assert!(told(&mut watcher, ample).await, "replaced");
        fs::remove_file(&file).unwrap();
        assert!(told(&mut watcher, ample).await, "removed");
    }

    #[tokio::test]
    async fn stays_silent_without_a_change_of_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.yaml");
        fs::write(&file, "a: 1").unwrap();
        let mut watcher = Watcher::every(SHORT, vec![folder.path().to_owned()]);
        fs::write(&file, "a: 1").unwrap();
        fs::write(folder.path().join(".hidden.yaml"), "x").unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        assert!(!told(&mut watcher, Duration::from_millis(200)).await);
    }

    #[tokio::test]
    async fn follows_swapped_links_as_kubernetes_mounts_have_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (version, text) in [("..1", "a: 1"), ("..2", "a: 2")] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("a.yaml"), text).unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/a.yaml", at("a.yaml")).unwrap();
        let mut watcher = Watcher::every(SHORT, vec![folder.path().to_owned()]);
        symlink("..2", at("..new")).unwrap();
        fs::rename(at("..new"), at("..data")).unwrap();
        assert!(told(&mut watcher, Duration::from_secs(20)).await);
    }
}
