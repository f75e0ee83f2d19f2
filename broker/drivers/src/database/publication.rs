//! Which stamps publications get: the part of a write that is the same in every database.

use std::collections::HashMap;

use package_broker_core::{
    domain::{
        metadata::Channel,
        names::{PackageName, RepositoryName},
        stamp::{Stamp, StampClock},
    },
    ports::database::{Applied, Changes, DocumentBytes, Publication, Published, Revisions},
};

/// The logical clock's row: the last stamps given. Load, use and save it in one transaction that nobody else writes
/// beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) stamps: StampClock,
    pub(super) absent: Stamp,
    pub(super) revisions: Revisions,
}

/// The names that changes are about, each once.
pub(super) fn names(changes: &Changes) -> Vec<&str> {
    let put = changes.put.iter().map(|put| &put.package);
    let removed = changes.remove.iter().map(|(_, package)| package);
    let published = changes
        .publish
        .iter()
        .map(|publication| &publication.package);
    let names = put.chain(removed).chain(published).chain(&changes.withdraw);
    let mut names: Vec<_> = names.map(PackageName::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// How a name stood before the changes.
pub(super) struct Standing {
    /// `None` once it is withdrawn: then its digests count no more.
    pub(super) owner: Option<RepositoryName>,
    pub(super) stable: Document,
    pub(super) dev: Document,
}

#[derive(Clone, Copy)]
pub(super) struct Document {
    pub(super) stamp: Stamp,
    pub(super) digest: [u8; 32],
}

/// What to write for some changes.
pub(super) struct Plan<'a> {
    /// Every publication, with its stamps.
    pub(super) stamped: Vec<Stamped<'a>>,
    /// The clock afterwards.
    pub(super) clock: Clock,
}

impl<'a> Plan<'a> {
    /// Gives each changed document its stamp, and moves `absent` if a served name disappears or gets another owner.
    /// `standing` is how the names to publish and to withdraw stand now.
    pub(super) fn new(
        changes: &'a Changes,
        mut standing: HashMap<PackageName, Standing>,
        mut clock: Clock,
        now: Stamp,
    ) -> Self {
        let mut lost = false;
        for package in &changes.withdraw {
            lost |= standing
                .get_mut(package)
                .and_then(|before| before.owner.take())
                .is_some();
        }
        let stamped: Vec<Stamped<'_>> = changes
            .publish
            .iter()
            .map(|publication| {
                Stamped::new(
                    publication,
                    standing.get(&publication.package),
                    &mut clock.stamps,
                    now,
                )
            })
            .collect();
        lost |= stamped.iter().any(|stamped| stamped.changes_owner);
        if lost {
            clock.absent = clock.stamps.next_unique(now);
        }
        clock.revisions.packages += 1;
        Self { stamped, clock }
    }

    /// The documents whose bytes are others than those stored.
    pub(super) fn changed(&self) -> impl Iterator<Item = (&PackageName, Channel, &Dated<'a>)> {
        let documents = self.stamped.iter().flat_map(Stamped::documents);
        documents.filter(|(_, _, dated)| dated.changed)
    }

    /// What came of it.
    pub(super) fn applied(&self) -> Applied {
        Applied {
            published: self.stamped.iter().map(Stamped::published).collect(),
            absent: self.clock.absent,
            revision: self.clock.revisions.packages,
        }
    }
}

/// A publication with the stamps it gets.
pub(super) struct Stamped<'a> {
    pub(super) publication: &'a Publication,
    pub(super) stable: Dated<'a>,
    pub(super) dev: Dated<'a>,
    pub(super) changes_owner: bool,
}

pub(super) struct Dated<'a> {
    pub(super) document: &'a DocumentBytes,
    pub(super) stamp: Stamp,
    /// Whether the stored bytes are others.
    pub(super) changed: bool,
}

impl<'a> Stamped<'a> {
    fn new(
        publication: &'a Publication,
        before: Option<&Standing>,
        clock: &mut StampClock,
        now: Stamp,
    ) -> Self {
        let owner = before.and_then(|before| before.owner.as_ref());
        let mut date = |document: &'a DocumentBytes, before: Option<Document>| {
            let kept = before.filter(|before| owner.is_some() && before.digest == document.digest);
            let stamp = kept.map_or_else(
                || clock.next_document(now, before.map(|before| before.stamp)),
                |before| before.stamp,
            );
            Dated {
                document,
                stamp,
                changed: kept.is_none(),
            }
        };
        Self {
            publication,
            stable: date(&publication.stable, before.map(|before| before.stable)),
            dev: date(&publication.dev, before.map(|before| before.dev)),
            changes_owner: owner.is_some_and(|owner| *owner != publication.owner),
        }
    }

    pub(super) fn documents(&self) -> [(&PackageName, Channel, &Dated<'a>); 2] {
        let package = &self.publication.package;
        [
            (package, Channel::Stable, &self.stable),
            (package, Channel::Dev, &self.dev),
        ]
    }

    pub(super) fn published(&self) -> Published {
        Published {
            package: self.publication.package.clone(),
            owner: self.publication.owner.clone(),
            stable: self.stable.stamp,
            dev: self.dev.stamp,
            description: self.publication.description.clone(),
            kind: self.publication.kind.clone(),
            abandoned: self.publication.abandoned.clone(),
        }
    }
}
