//! Archives: streamed as they come, never decoded (protocol A.0, 9), checked against what was declared.
//!
//! An archive can be minutes on its way, so archives have a lane of their own at each host: they wait for each other,
//! and metadata never waits for them.

use http::{HeaderMap, StatusCode};
use package_broker_core::{
    domain::archive::ArchiveDefect,
    ports::source::{ArchiveSink, SourceError},
};
use url::Url;

use super::{Fetcher, Reply, failure::invalid, hosts::Lane};
use crate::source::egress::shown;

impl Fetcher {
    /// Gets an archive into `sink`.
    ///
    /// # Errors
    /// Those of [`Fetcher::open_archive`] and [`copy_archive`].
    pub async fn get_archive(&self, url: &Url, sink: &mut ArchiveSink) -> Result<(), SourceError> {
        let reply = self.open_archive(url, sink.limit()).await?;
        copy_archive(reply, sink).await
    }

    /// Asks for an archive of at most `limit` bytes; its bytes follow with [`copy_archive`].
    ///
    /// # Errors
    /// [`SourceError::Gone`] for 404 and 410, [`SourceError::Defective`] if more than `limit` bytes are announced,
    /// and those of [`Fetcher::send`].
    pub async fn open_archive(&self, url: &Url, limit: u64) -> Result<Reply, SourceError> {
        let reply = self.get(url, &HeaderMap::new(), Lane::Archives).await?;
        match reply.status() {
            StatusCode::OK if reply.declared().is_some_and(|declared| declared > limit) => {
                Err(SourceError::Defective(ArchiveDefect::TooLarge { limit }))
            }
            StatusCode::OK => Ok(reply),
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(SourceError::Gone {
                what: shown(url),
                problem: format!("HTTP {}", reply.status().as_u16()),
            }),
            status => Err(invalid(
                url,
                format!("HTTP {} where an archive was expected", status.as_u16()),
            )),
        }
    }
}

/// Copies an archive that [`Fetcher::open_archive`] opened.
///
/// # Errors
/// [`SourceError::Unavailable`] if the body ends early, and those of [`ArchiveSink::write`].
pub async fn copy_archive(mut reply: Reply, sink: &mut ArchiveSink) -> Result<(), SourceError> {
    while let Some(chunk) = reply.chunk().await? {
        sink.write(chunk).await?;
    }
    Ok(())
}
