//! A bare mirror of a remote on disk: a cache that may be lost at any moment and is then cloned again.
//!
//! Objects only ever come in whole packs, the refs are one file that is replaced whole, and a clone takes the place of a
//! mirror only when it is whole itself, so that a process killed at any moment leaves the mirror of before or of after,
//! and at worst some litter. Objects of refs that vanished stay: clients with older lock files still ask for their
//! archives.
//!
//! Readers never remove anything. Who cannot read an object says so ([`Mirror::suspect`]), and whoever writes next looks
//! into it.

mod check;
mod place;
mod turn;

use std::{
    fs, io,
    ops::Deref,
    path::Path,
    sync::{Arc, MutexGuard},
};

use package_broker_core::domain::names::RepositoryName;
use sha2::{Digest, Sha256};

use self::{
    check::{has_all, is_sound},
    place::Place,
    turn::{Doubt, Turn},
};
use super::{refs::RemoteRefs, remote::Remote, session::Session, trouble::Trouble};

/// Each fetch adds a pack, and each look-up may visit all. Beyond this many a mirror is cloned anew.
const MAX_PACKS: usize = 400;

/// Memory for decoded objects, per opened mirror.
const OBJECT_CACHE: usize = 8 << 20;

/// What `HEAD` names in a mirror whose remote has no default branch.
const NO_HEAD: &str = "refs/heads/.none";

/// The mirror of one repository.
pub(super) struct Mirror {
    place: Place,
    turn: Arc<Turn>,
}

/// A mirror opened for reading.
pub(super) struct View {
    repository: gix::Repository,
    generation: u64,
}

impl Deref for View {
    type Target = gix::Repository;

    fn deref(&self) -> &gix::Repository {
        &self.repository
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
        let turn = Turn::of(&directory);
        Self {
            place: Place::of(directory),
            turn,
        }
    }

    /// Brings the mirror to `refs`, which `remote` has just told.
    ///
    /// # Errors
    /// [`Trouble::Damaged`] if objects are missing afterwards: connect and start again.
    pub(super) fn update(
        &self,
        remote: Remote,
        refs: &RemoteRefs,
        session: &Session,
    ) -> Result<(), Trouble> {
        let _turn = self.my_turn();
        if session.is_stopped() {
            return Err(Trouble::unusable("the sync was stopped"));
        }
        match self.usable(session)? {
            Some(repository) => self.catch_up(&repository, remote, refs, session),
            None => self.clone_anew(remote, refs),
        }
    }

    /// Opens the mirror for reading; `None` if there is none, or none of use.
    pub(super) fn open(&self) -> Option<View> {
        let generation = self.turn.generation();
        let mut repository = open(&self.place.current).ok()?;
        repository.object_cache_size(OBJECT_CACHE);
        Some(View {
            repository,
            generation,
        })
    }

    /// Opens the mirror if it has every object of `refs`.
    pub(super) fn open_at(&self, refs: &RemoteRefs) -> Option<View> {
        self.open().filter(|view| has_all(view, refs))
    }

    /// Whether [`Mirror::update`] has nothing to do for a mirror that is at `refs`: it does, once in a process, remove
    /// what an earlier one left.
    pub(super) fn is_settled_at(&self, refs: &RemoteRefs) -> bool {
        self.turn.is_swept() && self.is_trusted() && self.open_at(refs).is_some()
    }

    /// Whether nothing is held against the mirror, as far as is known.
    pub(super) fn is_trusted(&self) -> bool {
        self.turn.doubt() == Doubt::None
    }

    /// Notes that an object could not be read. The mirror stays as it is; the next [`Mirror::update`] checks it, and
    /// clones it anew if it is damaged.
    pub(super) fn suspect(&self, view: &View, problem: &str) {
        tracing::warn!(mirror = %self.place.current.display(), problem, "a git mirror may be damaged");
        self.turn.suspect(view.generation);
    }

    /// Waits until nobody else writes to the mirror, and sweeps it the first time.
    fn my_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.take(|| self.place.sweep())
    }

    /// The mirror to fetch into; `None` if it has to be cloned anew.
    fn usable(&self, session: &Session) -> Result<Option<gix::Repository>, Trouble> {
        let Ok(repository) = open(&self.place.current) else {
            if self.place.current.exists() {
                self.tell("it cannot be opened");
            }
            return Ok(None);
        };
        if self.packs() > MAX_PACKS {
            self.tell("it has too many packs");
            return Ok(None);
        }
        let usable = match self.turn.doubt() {
            Doubt::None => true,
            Doubt::Certain => false,
            Doubt::Suspected => {
                let refs = self.refs().unwrap_or_default();
                let sound = is_sound(&repository, &refs, session).map_err(|error| {
                    Trouble::unusable(&format!("it cannot be checked: {error}"))
                })?;
                if !sound {
                    self.turn.condemn();
                }
                sound && self.turn.acquit()
            }
        };
        if !usable {
            self.tell("it is damaged");
        }
        Ok(usable.then_some(repository))
    }

    fn tell(&self, why: &str) {
        tracing::info!(mirror = %self.place.current.display(), why, "a git mirror is cloned anew");
    }

    /// Fetches what the mirror lacks.
    fn catch_up(
        &self,
        repository: &gix::Repository,
        remote: Remote,
        refs: &RemoteRefs,
        session: &Session,
    ) -> Result<(), Trouble> {
        let before = self.refs();
        let same = before.as_ref().is_some_and(|before| before.is_at(refs));
        if !same || !has_all(repository, refs) {
            if before.is_none() {
                // Damaged: the refs only save a transfer.
                let _ = fs::remove_file(self.place.current.join("packed-refs"));
            }
            if let Err(error) = remote.fetch(repository) {
                let refs = self.refs().unwrap_or_default();
                // What cannot be told is not held against it.
                if session.is_stopped() || is_sound(repository, &refs, session).unwrap_or(true) {
                    return Err(error.into());
                }
                self.turn.condemn();
                return Err(Trouble::Damaged(error.to_string()));
            }
            write_refs(&self.place.current, refs).map_err(|error| not_written(&error))?;
        }
        let complete = open(&self.place.current).is_ok_and(|now| has_all(&now, refs));
        if complete {
            return Ok(());
        }
        self.turn.condemn();
        Err(Trouble::Damaged(
            "the mirror lacks objects that the remote has sent".to_owned(),
        ))
    }

    /// Clones beside the mirror, which serves until the clone is whole.
    fn clone_anew(&self, remote: Remote, refs: &RemoteRefs) -> Result<(), Trouble> {
        let new = &self.place.new;
        place::remove(new);
        let cloned = clone_into(new, remote, refs);
        let changed =
            cloned.and_then(|()| self.place.change().map_err(|error| not_written(&error)));
        match changed {
            Ok(()) => self.turn.renew(),
            Err(_) => place::remove(new),
        }
        changed
    }

    fn packs(&self) -> usize {
        let packs = fs::read_dir(self.place.current.join("objects/pack"))
            .into_iter()
            .flatten()
            .flatten();
        packs
            .filter(|file| file.path().extension().is_some_and(|end| end == "idx"))
            .count()
    }

    /// The refs as they were written last.
    fn refs(&self) -> Option<RemoteRefs> {
        let packed = fs::read_to_string(self.place.current.join("packed-refs")).ok()?;
        let head = fs::read_to_string(self.place.current.join("HEAD")).ok()?;
        let head = head
            .trim_end()
            .strip_prefix("ref: ")
            .filter(|name| *name != NO_HEAD)
            .map(str::to_owned);
        RemoteRefs::from_packed(head, &packed)
    }
}

/// Clones into a folder that is not there yet.
fn clone_into(directory: &Path, remote: Remote, refs: &RemoteRefs) -> Result<(), Trouble> {
    let repository = create(directory).map_err(|problem| {
        let directory = directory.display();
        Trouble::unusable(&format!("{directory} could not be made: {problem}"))
    })?;
    remote.fetch(&repository)?;
    write_refs(directory, refs).map_err(|error| not_written(&error))?;
    let complete = open(directory).is_ok_and(|now| has_all(&now, refs));
    if complete {
        return Ok(());
    }
    Err(Trouble::Damaged(
        "the remote did not send all objects that it has listed".to_owned(),
    ))
}

fn create(directory: &Path) -> Result<gix::Repository, String> {
    fs::create_dir_all(directory).map_err(|error| error.to_string())?;
    let options = gix::create::Options::default();
    let kind = gix::create::Kind::Bare;
    gix::ThreadSafeRepository::init_opts(directory, kind, options, isolated())
        .map_err(|error| error.to_string())?;
    open(directory).map_err(|error| error.to_string())
}

fn write_refs(directory: &Path, refs: &RemoteRefs) -> io::Result<()> {
    let head = format!("ref: {}\n", refs.head.as_deref().unwrap_or(NO_HEAD));
    replace(&directory.join("HEAD"), &head)?;
    replace(&directory.join("packed-refs"), &refs.to_packed())
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

/// Replaces a file whole.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

fn not_written(error: &io::Error) -> Trouble {
    Trouble::unusable(&format!("it could not be written: {error}"))
}
