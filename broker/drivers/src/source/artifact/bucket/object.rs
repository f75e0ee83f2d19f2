//! Fetches objects: into a file without a name to look into them, or on to whoever asked.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header::IF_MATCH};
use package_broker_core::{
    domain::archive::ArchiveDefect,
    ports::source::{ArchiveSink, SourceError},
};
use rusty_s3::S3Action;

use super::{Bucket, SIGNED_FOR, stamp::ObjectStamp};
use crate::source::{
    artifact::{inspect::Digest, refusal::Refusal},
    http::{Reply, copy_archive},
};

/// How much of an object is in memory before it is written.
const PENDING: usize = 512 << 10;

impl Bucket {
    /// Fetches an object into a file that no folder shows and that ends with its handle, and hashes it on the way.
    /// Takes no more bytes than the listing promised.
    pub(super) async fn download(
        &self,
        path: &str,
        stamp: &ObjectStamp,
    ) -> Result<(File, Digest), Refusal> {
        let mut reply = self.get(path, Some(stamp)).await?;
        let mut spool = Some(self.spool().await?);
        let (mut pending, mut waiting, mut size) = (Vec::new(), 0, 0);
        while let Some(chunk) = reply.chunk().await.map_err(unfetched)? {
            size += chunk.len() as u64;
            if size > stamp.size() {
                return Err(Refusal::Busy);
            }
            waiting += chunk.len();
            pending.push(chunk);
            if waiting >= PENDING {
                spool = Some(
                    self.write(spool.take(), std::mem::take(&mut pending))
                        .await?,
                );
                waiting = 0;
            }
        }
        if size != stamp.size() {
            return Err(Refusal::Busy);
        }
        let spool = self.write(spool, pending).await?;
        Ok((spool.file, spool.digest))
    }

    /// Copies an object into `sink`, as it is now or only if it is still the same.
    pub(super) async fn copy_object(
        &self,
        path: &str,
        stamp: Option<&ObjectStamp>,
        sink: &mut ArchiveSink,
    ) -> Result<(), Refusal> {
        let reply = self.get(path, stamp).await?;
        let limit = sink.limit();
        if reply.declared().is_some_and(|declared| declared > limit) {
            let defect = ArchiveDefect::TooLarge { limit };
            return Err(Refusal::Stopped(SourceError::Defective(defect)));
        }
        copy_archive(reply, sink).await.map_err(Refusal::Stopped)
    }

    /// Asks for an object; [`Refusal::Busy`] if it is another one now, or none.
    async fn get(&self, path: &str, stamp: Option<&ObjectStamp>) -> Result<Reply, Refusal> {
        let key = format!("{}{path}", self.address.prefix);
        let action = self.address.bucket.get_object(self.keys.as_ref(), &key);
        let url = action.sign(SIGNED_FOR);
        let mut headers = HeaderMap::new();
        let condition = stamp.and_then(ObjectStamp::if_match);
        if let Some(value) = condition.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(IF_MATCH, value);
        }
        let reply = self.fetcher.send(Method::GET, &url, &headers, None).await;
        let reply = reply.map_err(unfetched)?;
        match reply.status() {
            StatusCode::OK if stamp.is_none_or(|stamp| stamp.fits(reply.headers())) => Ok(reply),
            StatusCode::OK
            | StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::PRECONDITION_FAILED => Err(Refusal::Busy),
            status => Err(Refusal::Unfetched(SourceError::Invalid {
                what: format!("{}/{path}", self.shown().trim_end_matches('/')),
                problem: format!("HTTP {} where an object was expected", status.as_u16()),
            })),
        }
    }

    async fn spool(&self) -> Result<Spool, Refusal> {
        let scratch = self.scratch.clone();
        self.on_disk(move || Spool::new(&scratch)).await
    }

    async fn write(&self, spool: Option<Spool>, pending: Vec<Bytes>) -> Result<Spool, Refusal> {
        let mut spool = spool.ok_or_else(|| self.stopped())?;
        self.on_disk(move || {
            for chunk in pending {
                spool.take(&chunk)?;
            }
            Ok(spool)
        })
        .await
    }

    /// Our own disk's failure is no object's fault.
    async fn on_disk(
        &self,
        work: impl FnOnce() -> io::Result<Spool> + Send + 'static,
    ) -> Result<Spool, Refusal> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.map_err(|_| self.stopped())?;
        done.map_err(|error| {
            Refusal::Stopped(SourceError::Unavailable {
                what: self.scratch.display().to_string(),
                problem: format!("an object could not be put aside to look into it: {error}"),
                retry_after: None,
            })
        })
    }
}

/// A few objects may fail; what only settings can cure fails for all.
fn unfetched(error: SourceError) -> Refusal {
    match error {
        SourceError::Forbidden { .. } | SourceError::Misconfigured { .. } => {
            Refusal::Stopped(error)
        }
        other => Refusal::Unfetched(other),
    }
}

/// An object on its way.
struct Spool {
    file: File,
    digest: Digest,
}

impl Spool {
    fn new(scratch: &Path) -> io::Result<Self> {
        fs::create_dir_all(scratch)?;
        Ok(Self {
            file: tempfile::tempfile_in(scratch)?,
            digest: Digest::default(),
        })
    }

    fn take(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.digest.take(chunk);
        self.file.write_all(chunk)
    }
}
