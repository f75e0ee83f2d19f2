//! Brings what is known of every file up to date.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use package_broker_core::ports::source::SourceError;

use super::{
    ArtifactSource,
    place::{Candidate, Listed, PARALLEL},
    refusal::Refusal,
    state::{Entry, Identity, Outcome, State},
};

/// A file that was a package and is broken now may still be being written, for so long after its last change.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// So many objects in a row that could not be fetched mean that none can.
const GIVE_UP_AFTER: usize = 5;

impl ArtifactSource {
    /// Brings the state up to date. Returns with it how many files had to be opened.
    ///
    /// # Errors
    /// Those of [`Place::list`](super::place::Place::list), and [`SourceError::Unavailable`] if packages seem to be
    /// missing only because they cannot be seen now. What fetching objects fails with, if it fails for all.
    pub(super) async fn refresh(&self, previous: &State) -> Result<(State, usize), SourceError> {
        let listed = self.place.list().await?;
        nothing_is_hidden(&listed, previous).map_err(|problem| self.place.unavailable(problem))?;
        let mut files = BTreeMap::new();
        for (path, refusal) in listed.refused {
            let entry = Entry::refused(previous.files.get(&path), None, &refusal);
            files.insert(path, entry);
        }
        let mut changed = Vec::new();
        for candidate in listed.files {
            match previous.files.get(&candidate.path) {
                Some(known) if known.stamp.as_ref() == Some(&candidate.stamp) => {
                    files.insert(candidate.path, known.clone());
                }
                _ => changed.push(candidate),
            }
        }
        let opened = changed.len();
        self.look_into(changed, previous, &mut files).await?;
        Ok((State::of(listed.folder, files), opened))
    }

    async fn look_into(
        &self,
        changed: Vec<Candidate>,
        previous: &State,
        files: &mut BTreeMap<String, Entry>,
    ) -> Result<(), SourceError> {
        let mut looks = stream::iter(changed)
            .map(|candidate| self.identify(candidate))
            .buffer_unordered(PARALLEL);
        let mut failures = Failures::default();
        while let Some((candidate, verdict)) = looks.next().await {
            let known = previous.files.get(&candidate.path);
            let entry = self.entry(&candidate, &verdict, known);
            failures.count(verdict)?;
            files.insert(candidate.path, entry);
        }
        if files.values().any(Entry::is_package) {
            return Ok(());
        }
        failures.into_result()
    }

    async fn identify(&self, candidate: Candidate) -> (Candidate, Result<Identity, Refusal>) {
        let verdict = self.place.identify(&candidate).await;
        (candidate, verdict)
    }

    fn entry(
        &self,
        candidate: &Candidate,
        verdict: &Result<Identity, Refusal>,
        known: Option<&Entry>,
    ) -> Entry {
        let stamp = Some(candidate.stamp.clone());
        match verdict {
            Ok(identity) => Entry {
                stamp,
                outcome: Outcome::Package(identity.clone()),
                unread: None,
            },
            // What was just written over a package gets the benefit of the doubt.
            Err(refusal)
                if refusal.is_settled()
                    && known.is_some_and(Entry::is_package)
                    && candidate.stamp.is_younger_than(self.patience) =>
            {
                Entry::refused(known, stamp, &Refusal::Unfinished(refusal.to_string()))
            }
            Err(refusal) => Entry::refused(known, stamp, refusal),
        }
    }
}

/// Tells a few objects that cannot be fetched, which are left out, from a bucket that hands out nothing.
#[derive(Default)]
struct Failures {
    in_a_row: usize,
    first: Option<SourceError>,
}

impl Failures {
    fn count(&mut self, verdict: Result<Identity, Refusal>) -> Result<(), SourceError> {
        match verdict {
            Err(Refusal::Stopped(error)) => return Err(error),
            Err(Refusal::Unfetched(error)) => {
                self.in_a_row += 1;
                if self.in_a_row >= GIVE_UP_AFTER {
                    return Err(error);
                }
                self.first.get_or_insert(error);
            }
            _ => self.in_a_row = 0,
        }
        Ok(())
    }

    fn into_result(self) -> Result<(), SourceError> {
        self.first.map_or(Ok(()), Err)
    }
}

/// Refuses a listing that lacks packages because a folder is closed to us or its volume is not mounted: they have not
/// been taken away, as far as one can tell.
fn nothing_is_hidden(listed: &Listed, previous: &State) -> Result<(), String> {
    for closed in &listed.closed {
        let held = previous.packages_below(closed);
        if held > 0 {
            return Err(format!(
                "{closed} may not be read, and held {held} archives; let the broker's user read it, or remove it"
            ));
        }
    }
    let held = previous.packages_below("");
    // A folder that was emptied on purpose is still the same folder.
    if listed.is_empty && held > 0 && listed.folder != previous.folder {
        return Err(format!(
            "it is empty, and not the folder that held {held} archives before; mount its volume, or put a file such \
             as .keep into it if it is meant to be empty"
        ));
    }
    Ok(())
}
