//! Who may write to a mirror, and what is held against it. One for each folder of the process, whoever opened it.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
};

/// A mirror that was suspected and found sound so many times has something that a check does not find.
const ACQUITTALS: u32 = 2;

/// What all who use one mirror share.
#[derive(Default)]
pub(super) struct Turn {
    writer: Mutex<()>,
    record: Mutex<Record>,
}

/// What is known of a mirror beyond its files.
#[derive(Default)]
struct Record {
    /// Counts the clones of this process, so that nothing is held against a clone that others failed to read.
    generation: u64,
    doubt: Doubt,
    acquittals: u32,
    /// Whether litter of an earlier process was removed.
    swept: bool,
}

/// Whether a mirror can be relied on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Doubt {
    /// Nothing speaks against it.
    #[default]
    None,
    /// Somebody could not read an object that should be there; nobody has looked into it.
    Suspected,
    /// It was found damaged.
    Certain,
}

impl Turn {
    /// The one of a folder.
    pub(super) fn of(directory: &Path) -> Arc<Self> {
        static TURNS: OnceLock<Mutex<HashMap<PathBuf, Weak<Turn>>>> = OnceLock::new();
        let turns = TURNS.get_or_init(Mutex::default);
        let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(directory).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(Self::default());
        turns.insert(directory.to_owned(), Arc::downgrade(&turn));
        turn
    }

    /// Waits until nobody else writes; sweeps the first time.
    pub(super) fn take(&self, sweep: impl FnOnce()) -> MutexGuard<'_, ()> {
        let turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_swept() {
            sweep();
            self.record().swept = true;
        }
        turn
    }

    /// Whether somebody has had a turn in this process.
    pub(super) fn is_swept(&self) -> bool {
        self.record().swept
    }

    /// Which clone is there now.
    pub(super) fn generation(&self) -> u64 {
        self.record().generation
    }

    /// What is held against it.
    pub(super) fn doubt(&self) -> Doubt {
        self.record().doubt
    }

    /// Somebody could not read this clone. Said of an earlier one, it means nothing now.
    pub(super) fn suspect(&self, generation: u64) {
        let mut record = self.record();
        if record.generation == generation && record.doubt == Doubt::None {
            record.doubt = Doubt::Suspected;
        }
    }

    /// A check found nothing. Returns whether that is to be believed.
    pub(super) fn acquit(&self) -> bool {
        let mut record = self.record();
        record.acquittals += 1;
        if record.acquittals < ACQUITTALS {
            record.doubt = Doubt::None;
            return true;
        }
        record.doubt = Doubt::Certain;
        false
    }

    /// It was found damaged.
    pub(super) fn condemn(&self) {
        self.record().doubt = Doubt::Certain;
    }

    /// There is a new clone in its place.
    pub(super) fn renew(&self) {
        let mut record = self.record();
        *record = Record {
            generation: record.generation + 1,
            swept: record.swept,
            ..Record::default()
        };
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_an_earlier_clone_means_nothing() {
        let turn = Turn::default();
        let before = turn.generation();
        turn.renew();
        turn.suspect(before);
        assert_eq!(turn.doubt(), Doubt::None);
        turn.suspect(turn.generation());
        assert_eq!(turn.doubt(), Doubt::Suspected);
    }

    #[test]
    fn a_mirror_is_acquitted_once() {
        let turn = Turn::default();
        turn.suspect(turn.generation());
        assert!(turn.acquit());
        assert_eq!(turn.doubt(), Doubt::None);
        turn.suspect(turn.generation());
        assert!(!turn.acquit());
        assert_eq!(turn.doubt(), Doubt::Certain);
        turn.renew();
        assert!(turn.acquit());
    }
}
