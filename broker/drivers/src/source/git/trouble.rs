//! What can go wrong with a mirror, and who can mend it.

use std::{collections::TryReserveError, error::Error, io};

use package_broker_core::ports::source::SourceError;

/// Something went wrong at our end or at theirs.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The mirror lacks or cannot decode an object that it should have.
    Damaged(String),
    /// Everything else.
    Source(SourceError),
}

impl Trouble {
    /// From an error of the git library about an object. That the system has no more files or memory for us says
    /// nothing about the mirror.
    pub(super) fn damaged(error: impl Error + 'static) -> Self {
        if is_exhaustion(&error) {
            return Self::unusable(&error.to_string());
        }
        Self::Damaged(error.to_string())
    }

    /// The mirror cannot be used for now; nothing is known against it.
    pub(super) fn unusable(problem: &str) -> Self {
        Self::Source(SourceError::Unavailable {
            what: "the mirror of the git repository".to_owned(),
            problem: problem.to_owned(),
            retry_after: None,
        })
    }
}

impl From<SourceError> for Trouble {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// Whether the cause is that the system has no more of something.
pub(super) fn is_exhaustion(error: &(dyn Error + 'static)) -> bool {
    match error.downcast_ref::<gix::error::Error>() {
        // Its causes are a tree.
        Some(tree) => tree.iter_errors().any(in_chain),
        None => in_chain(error),
    }
}

fn in_chain<'a>(error: &'a (dyn Error + 'static)) -> bool {
    let next = |&cause: &&'a (dyn Error + 'static)| cause.source();
    std::iter::successors(Some(error), next).any(|cause| {
        cause.is::<TryReserveError>() || cause.downcast_ref().is_some_and(is_exhausted)
    })
}

fn is_exhausted(error: &io::Error) -> bool {
    /// The numbers of Linux and of macOS; the standard library has no names for the latter two.
    const ENOMEM: i32 = 12;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENOMEM | ENFILE | EMFILE))
        || error.kind() == io::ErrorKind::OutOfMemory
}

#[cfg(test)]
mod tests {
    use gix::error::{ErrorExt as _, ResultExt as _, message};

    use super::*;

    #[test]
    fn what_the_system_lacks_is_not_held_against_the_mirror() {
        for (number, damaged) in [(24, false), (23, false), (12, false), (2, true), (5, true)] {
            let error = || io::Error::from_raw_os_error(number);
            let deep = Err::<(), _>(error()).or_raise(|| message("could not read the index"));
            let wrapped: gix::error::Error = deep.unwrap_err();
            for trouble in [
                Trouble::damaged(error()),
                Trouble::damaged(error().raise()),
                Trouble::damaged(wrapped),
            ] {
                assert_eq!(
                    matches!(trouble, Trouble::Damaged(_)),
                    damaged,
                    "{number}: {trouble:?}"
                );
            }
        }
    }
}
