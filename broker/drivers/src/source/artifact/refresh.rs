//! Brings what is known of every file up to date.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{StreamExt, stream};
use package_broker_core::ports::source::SourceError;

use super::{
    ArtifactSource, PARALLEL,
    refusal::Refusal,
    scan::{self, Candidate, Scan},
    state::{Entry, Identity, Outcome, State},
};

/// A file that was a package and is broken now may still be being written, for so long after its last change.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

impl ArtifactSource {
    /// Brings the state up to date. Returns with it how many files had to be opened.
    ///
    /// # Errors
    /// Those of [`scan::scan`], and [`SourceError::Unavailable`] if packages seem to be missing only because they
    /// cannot be seen now.
    pub(super) async fn refresh(&self, previous: &State) -> Result<(State, usize), SourceError> {
        let folder = Arc::clone(&self.folder);
        let scan = self.blocking(move || scan::scan(&folder)).await??;
        nothing_is_hidden(&scan, previous).map_err(|problem| self.folder.unavailable(problem))?;
        let mut files = BTreeMap::new();
        for (path, refusal) in scan.refused {
            let entry = Entry::refused(previous.files.get(&path), None, &refusal);
            files.insert(path, entry);
        }
        let mut changed = Vec::new();
        for candidate in scan.files {
            match previous.files.get(&candidate.path) {
                Some(known) if known.stamp == Some(candidate.stamp) => {
                    files.insert(candidate.path, known.clone());
                }
                _ => changed.push(candidate),
            }
        }
        let opened = changed.len();
        let mut looks = stream::iter(changed)
            .map(|candidate| self.look_into(candidate))
            .buffer_unordered(PARALLEL);
        while let Some(looked) = looks.next().await {
            let (candidate, verdict) = looked?;
            let known = previous.files.get(&candidate.path);
            let entry = self.entry(&candidate, verdict, known);
            files.insert(candidate.path, entry);
        }
        Ok((State::of(scan.id, files), opened))
    }

    async fn look_into(
        &self,
        candidate: Candidate,
    ) -> Result<(Candidate, Result<Identity, Refusal>), SourceError> {
        let (folder, inspector) = (Arc::clone(&self.folder), self.inspector);
        self.blocking(move || {
            let verdict = inspector.identify(&folder, &candidate);
            (candidate, verdict)
        })
        .await
    }

    fn entry(
        &self,
        candidate: &Candidate,
        verdict: Result<Identity, Refusal>,
        known: Option<&Entry>,
    ) -> Entry {
        let stamp = Some(candidate.stamp);
        match verdict {
            Ok(identity) => Entry {
                stamp,
                outcome: Outcome::Package(identity),
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
            Err(refusal) => Entry::refused(known, stamp, &refusal),
        }
    }
}

/// Refuses a scan that lacks packages because a folder is closed to us or its volume is not mounted: they have not
/// been taken away, as far as one can tell.
fn nothing_is_hidden(scan: &Scan, previous: &State) -> Result<(), String> {
    for closed in &scan.closed {
        let held = previous.packages_below(closed);
        if held > 0 {
            return Err(format!(
                "{closed} may not be read, and held {held} archives; let the broker's user read it, or remove it"
            ));
        }
    }
    let held = previous.packages_below("");
    // A folder that was emptied on purpose is still the same folder.
    if scan.is_empty && held > 0 && scan.id != previous.folder {
        return Err(format!(
            "it is empty, and not the folder that held {held} archives before; mount its volume, or put a file such \
             as .keep into it if it is meant to be empty"
        ));
    }
    Ok(())
}
