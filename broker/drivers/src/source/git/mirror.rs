//! A bare mirror of a remote on disk: a cache that may be lost at any moment and is then cloned again.
//!
//! Objects only ever come in whole packs, and the refs are one file that is replaced whole, so that a process killed
//! at any moment leaves the mirror of before or of after, and at worst some litter. Objects of refs that vanished
//! stay: clients with older lock files still ask for their archives.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

use package_broker_core::{domain::names::RepositoryName, ports::source::SourceError};
use sha2::{Digest, Sha256};

use super::{refs::RemoteRefs, remote::Remote, session::Session};

/// Each fetch adds a pack, and each look-up may visit all. Beyond this many a mirror is cloned anew.
const MAX_PACKS: usize = 400;

/// Memory for decoded objects, per opened mirror.
const OBJECT_CACHE: usize = 8 << 20;

/// The mirror of one repository.
pub(super) struct Mirror {
    directory: PathBuf,
    turn: Arc<Turn>,
}

/// Whose turn it is to write to a mirror; inside, whether litter of an earlier process was swept.
type Turn = Mutex<bool>;

/// Something went wrong at our end or at theirs.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The mirror lacks or cannot decode an object that it should have.
    Damaged(String),
    /// Everything else.
    Source(SourceError),
}

impl Trouble {
    /// From an error of the git library about an object.
    pub(super) fn damaged(error: impl std::fmt::Display) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl Mirror {
    /// The mirror of the repository `name` at `url` below `git_dir`. No I/O.
    pub(super) fn new(git_dir: &Path, name: &RepositoryName, url: &str) -> Self {
        let plain = |c: char| {
            if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
                c
            } else {
                '-'
            }
        };
        let readable: String = name.as_str().chars().take(80).map(plain).collect();
        let digest = hex::encode(Sha256::digest(format!("{name}\0{url}")));
        let short = digest.get(..12).unwrap_or_default();
        let directory = git_dir.join(format!("{readable}-{short}"));
        let turn = turn_of(&directory);
        Self { directory, turn }
    }

    /// Brings the mirror to `refs`, which `remote` has just told.
    ///
    /// # Errors
    /// [`Trouble::Damaged`] if objects are missing afterwards: wipe it and start again.
    pub(super) fn update(
        &self,
        remote: Remote,
        refs: &RemoteRefs,
        session: &Session,
    ) -> Result<(), Trouble> {
        let _turn = self.my_turn();
        if session.is_stopped() {
            return Err(broken("the sync was stopped"));
        }
        let repository = self.open_or_create()?;
        let before = self.refs();
        if before.as_ref() != Some(refs) || !has_all(&repository, refs) {
            if before.is_none() {
                // Not there yet, or damaged: the refs only save a transfer.
                let _ = fs::remove_file(self.directory.join("packed-refs"));
            }
            if let Err(error) = remote.fetch(&repository) {
                let sound = session.is_stopped() || self.is_sound(&repository, session);
                return Err(if sound {
                    error.into()
                } else {
                    Trouble::Damaged(error.to_string())
                });
            }
            self.write_refs(refs)
                .map_err(|error| broken(&format!("its refs could not be written: {error}")))?;
        }
        if has_all(&self.open_or_create()?, refs) {
            return Ok(());
        }
        Err(Trouble::Damaged(
            "the mirror lacks objects that the remote has sent".to_owned(),
        ))
    }

    /// Opens the mirror for reading; `None` if there is none, or none of use.
    pub(super) fn open(&self) -> Option<gix::Repository> {
        let mut repository = open(&self.directory).ok()?;
        repository.object_cache_size(OBJECT_CACHE);
        Some(repository)
    }

    /// Opens the mirror if it has every object of `refs`.
    pub(super) fn open_at(&self, refs: &RemoteRefs) -> Option<gix::Repository> {
        self.open().filter(|repository| has_all(repository, refs))
    }

    /// Removes the mirror.
    pub(super) fn wipe(&self) {
        let _turn = self.my_turn();
        self.remove();
    }

    fn remove(&self) {
        match fs::remove_dir_all(&self.directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(mirror = %self.directory.display(), %error, "a git mirror could not be removed");
            }
            _ => {}
        }
    }

    /// Waits until nobody else writes to the mirror, and sweeps it the first time.
    fn my_turn(&self) -> MutexGuard<'_, bool> {
        let mut swept = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        if !*swept {
            sweep(&self.directory);
            *swept = true;
        }
        swept
    }

    fn open_or_create(&self) -> Result<gix::Repository, Trouble> {
        if self.packs() > MAX_PACKS {
            tracing::info!(mirror = %self.directory.display(), "a git mirror has too many packs and is cloned anew");
            self.remove();
        }
        if let Ok(repository) = open(&self.directory) {
            return Ok(repository);
        }
        self.remove();
        fs::create_dir_all(&self.directory).map_err(|error| {
            broken(&format!(
                "{} could not be made: {error}",
                self.directory.display()
            ))
        })?;
        let options = gix::create::Options::default();
        gix::ThreadSafeRepository::init_opts(
            &self.directory,
            gix::create::Kind::Bare,
            options,
            isolated(),
        )
        .map_err(|error| {
            broken(&format!(
                "{} could not be made: {error}",
                self.directory.display()
            ))
        })?;
        open(&self.directory).map_err(|error| broken(&format!("it could not be opened: {error}")))
    }

    fn packs(&self) -> usize {
        let packs = fs::read_dir(self.directory.join("objects/pack"))
            .into_iter()
            .flatten()
            .flatten();
        packs
            .filter(|file| {
                file.path()
                    .extension()
                    .is_some_and(|extension| extension == "idx")
            })
            .count()
    }

    /// The refs as they were written last.
    fn refs(&self) -> Option<RemoteRefs> {
        let packed = fs::read_to_string(self.directory.join("packed-refs")).ok()?;
        let head = fs::read_to_string(self.directory.join("HEAD")).ok()?;
        let head = head
            .trim_end()
            .strip_prefix("ref: ")
            .filter(|name| *name != NO_HEAD)
            .map(str::to_owned);
        RemoteRefs::from_packed(head, &packed)
    }

    fn write_refs(&self, refs: &RemoteRefs) -> io::Result<()> {
        let head = format!("ref: {}\n", refs.head.as_deref().unwrap_or(NO_HEAD));
        replace(&self.directory.join("HEAD"), &head)?;
        replace(&self.directory.join("packed-refs"), &refs.to_packed())
    }

    /// Whether the packs are whole and have what the refs name. Reads all of it: only after a failure.
    fn is_sound(&self, repository: &gix::Repository, session: &Session) -> bool {
        let refs = self.refs().unwrap_or_default();
        let packs = fs::read_dir(self.directory.join("objects/pack"))
            .into_iter()
            .flatten()
            .flatten();
        let mut indices = packs
            .map(|file| file.path())
            .filter(|path| path.extension().is_some_and(|end| end == "idx"));
        has_all(repository, &refs)
            && indices.all(|index| {
                let whole = gix::odb::pack::Bundle::at(index, repository.object_hash())
                    .ok()
                    .map(|bundle| {
                        let mut progress = gix::progress::Discard;
                        let index = bundle
                            .index
                            .verify_checksum(&mut progress, session.flag())
                            .is_ok();
                        index
                            && bundle
                                .pack
                                .verify_checksum(&mut progress, session.flag())
                                .is_ok()
                    });
                whole.unwrap_or(false)
            })
    }
}

/// What `HEAD` names in a mirror whose remote has no default branch.
const NO_HEAD: &str = "refs/heads/.none";

fn turn_of(directory: &Path) -> Arc<Turn> {
    static TURNS: OnceLock<Mutex<HashMap<PathBuf, Weak<Turn>>>> = OnceLock::new();
    let mut turns = TURNS
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if let Some(turn) = turns.get(directory).and_then(Weak::upgrade) {
        return turn;
    }
    turns.retain(|_, turn| turn.strong_count() > 0);
    let turn = Arc::new(Turn::default());
    turns.insert(directory.to_owned(), Arc::downgrade(&turn));
    turn
}

fn isolated() -> gix::open::Options {
    gix::open::Options::isolated()
        .with(gix::sec::Trust::Full)
        .open_path_as_is(true)
}

fn open(directory: &Path) -> gix::error::Result<gix::Repository> {
    isolated()
        .open(directory)
        .map(|repository| repository.to_thread_local())
}

fn has_all(repository: &gix::Repository, refs: &RemoteRefs) -> bool {
    refs.refs
        .values()
        .all(|target| repository.has_object(target.id) && repository.has_object(target.peeled))
}

/// Removes what a killed process left: nobody else uses the mirror. Locks, half-written packs, packs without index.
fn sweep(directory: &Path) {
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

/// Replaces a file whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn broken(problem: &str) -> Trouble {
    Trouble::Source(SourceError::Unavailable {
        what: "the mirror of the git repository".to_owned(),
        problem: problem.to_owned(),
        retry_after: None,
    })
}
