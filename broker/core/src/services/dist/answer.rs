//! How an archive gets to a client: through us, or by a link to the storage.

use std::{sync::Arc, time::Duration};

use super::{DistError, DistService, unavailable};
use crate::{
    domain::archive::{Archive, ArchiveFormat, ArchiveKey},
    ports::storage::{Blob, Link, Linked},
    services::token::Grant,
};

/// The longest a link is good for: enough to follow it at once, and little for whoever finds it later.
const LONGEST_LINK: Duration = Duration::from_mins(1);
/// The shortest that can be made.
const SHORTEST_LINK: Duration = Duration::from_secs(1);

impl DistService {
    /// The archive at an address, if the asker may read it.
    ///
    /// # Errors
    /// [`DistError`].
    pub async fn open(
        self: &Arc<Self>,
        grant: &Grant,
        key: &ArchiveKey,
        format: ArchiveFormat,
    ) -> Result<(Archive, Blob), DistError> {
        let archive = self.find(grant, key, format).await?;
        if let Some(blob) = self.whole(&archive).await? {
            self.telemetry.archive_hits.increment();
            return Ok((archive, blob));
        }
        let again = self.regain(&archive).await?;
        let blob = self.whole(&again).await?;
        Ok((again, blob.ok_or_else(lost_again)?))
    }

    /// A link to the archive at an address in the storage itself, if the asker may read it. It ends with the asker's
    /// token, and within a minute. `None` where there are no links, or the token ends too soon for one: then the archive
    /// has to be [opened](Self::open).
    ///
    /// # Errors
    /// [`DistError`].
    pub async fn link(
        self: &Arc<Self>,
        grant: &Grant,
        key: &ArchiveKey,
        format: ArchiveFormat,
        what: Linked,
    ) -> Result<Option<(Archive, Link)>, DistError> {
        let Some(links) = self.storage.links() else {
            return Ok(None);
        };
        let mut archive = self.find(grant, key, format).await?;
        if !self.is_whole(&archive).await? {
            archive = self.regain(&archive).await?;
            if !self.is_whole(&archive).await? {
                return Err(lost_again());
            }
        }
        // Only now: a fetch takes its time, and the token may have ended meanwhile.
        let left = || grant.remaining().unwrap_or(LONGEST_LINK);
        let time = Duration::from_secs(left().min(LONGEST_LINK).as_secs());
        if time < SHORTEST_LINK {
            return Ok(None);
        }
        let link = links.link(&archive.blob, what, time).await;
        let link = link.map_err(|error| self.no_storage(&error))?;
        // The time counts from the signature, which may have had to wait for credentials.
        if left() < time {
            return Ok(None);
        }
        self.telemetry.archive_hits.increment();
        self.telemetry.archive_links.increment();
        Ok(Some((archive, link)))
    }

    /// Whether clients can be given links at all.
    pub fn has_links(&self) -> bool {
        self.storage.links().is_some()
    }

    /// The bytes of an archive, if all of them are in storage.
    async fn whole(&self, archive: &Archive) -> Result<Option<Blob>, DistError> {
        let blob = self.storage.open(&archive.blob).await;
        let blob = blob.map_err(|error| self.no_storage(&error))?;
        Ok(blob.filter(|blob| blob.size == archive.size))
    }

    /// Whether all bytes of an archive are in storage.
    pub(super) async fn is_whole(&self, archive: &Archive) -> Result<bool, DistError> {
        let size = self.storage.size(&archive.blob).await;
        Ok(size.map_err(|error| self.no_storage(&error))? == Some(archive.size))
    }

    async fn regain(self: &Arc<Self>, archive: &Archive) -> Result<Archive, DistError> {
        tracing::error!(package = %archive.key.package, blob = ?archive.blob, "an archive is missing or cut in the storage");
        self.refetch(archive).await
    }
}

fn lost_again() -> DistError {
    unavailable(
        "the archive storage lost the archive; try again later",
        None,
    )
}
