//! Storing a blob: one request for what is small, parts for what is large.

use std::{pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use object_store::{
    ObjectStoreExt,
    multipart::{MultipartStore, PartId},
    path::Path as Key,
};
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Staged, StorageError},
    telemetry::calling,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    Bucket, SERVICE,
    spool::{Content, Spool, SpoolFile},
};

/// Bytes of a part, and the most that is stored in one request. All parts have the same size but the last, as some
/// services demand. At the 10,000 parts that S3 allows, a blob may have 78 GiB. Its SHA-256, for the signature, takes
/// the runtime some milliseconds.
pub(super) const PART: u64 = 8 << 20;

/// Parts in memory at a time, of all blobs together.
pub(super) const PARTS_AT_ONCE: usize = 4;

/// Parts of one blob at a time: two keep a connection busy while a part is read, and leave room for other blobs.
const PARTS_OF_ONE: usize = 2;

const MOST_PARTS: u64 = 10_000;

/// How long a failed commit waits for its upload to be aborted. The service has just failed, and may go on to.
const ABORT_PATIENCE: Duration = Duration::from_secs(10);

const STORE: &str = "store an object";

/// A blob being written. Dropped, nothing of it has left this process.
pub(super) struct StagedObject {
    bucket: Arc<Bucket>,
    spool: Spool,
}

impl StagedObject {
    pub(super) fn new(bucket: Arc<Bucket>, spool: Spool) -> Self {
        Self { bucket, spool }
    }
}

#[async_trait]
impl Staged for StagedObject {
    async fn write(&mut self, chunk: Bytes) -> Result<(), StorageError> {
        self.spool.write(&chunk).await
    }

    async fn commit(self: Box<Self>, id: &BlobId) -> Result<(), StorageError> {
        let Self { bucket, spool } = *self;
        let key = bucket.key(id);
        let content = spool.finish().await?;
        calling(SERVICE, STORE, store(bucket, key, content)).await
    }
}

impl Bucket {
    /// Leave to have a part in memory.
    async fn permit(&self) -> Result<OwnedSemaphorePermit, StorageError> {
        let permit = Arc::clone(&self.parts).acquire_owned().await;
        permit.map_err(|_| StorageError::new(STORE, "the program is shutting down"))
    }
}

async fn store(bucket: Arc<Bucket>, key: Key, content: Content) -> Result<(), StorageError> {
    match content {
        Content::Memory(bytes) => put(&bucket, &key, bytes).await,
        Content::File(file) if file.size <= PART => {
            let _permit = bucket.permit().await?;
            let bytes = part(&file, 0).await?;
            put(&bucket, &key, bytes).await
        }
        Content::File(file) => put_parts(bucket, key, file).await,
    }
}

async fn put(bucket: &Bucket, key: &Key, bytes: Bytes) -> Result<(), StorageError> {
    match bucket.client.put(key, bytes.into()).await {
        Ok(_) => Ok(()),
        Err(error) => Err(bucket.failed(STORE, Some(key), &error)),
    }
}

/// Stores a blob in parts, on a task of its own: given up meanwhile, the task lets the parts under way end and aborts
/// the upload. A part that arrives after the abort would stay.
async fn put_parts(bucket: Arc<Bucket>, key: Key, file: SpoolFile) -> Result<(), StorageError> {
    if file.size.div_ceil(PART) > MOST_PARTS {
        return Err(bucket.problem(STORE, Some(&key), "it is larger than 78 GiB"));
    }
    let stop = CancellationToken::new();
    let _given_up = stop.clone().drop_guard();
    let upload = async move { Upload::begin(bucket, key, file).await?.run(stop).await };
    match tokio::spawn(upload).await {
        Ok(done) => done,
        Err(_) => Err(StorageError::new(STORE, "the program is shutting down")),
    }
}

async fn part(file: &SpoolFile, number: u64) -> Result<Bytes, StorageError> {
    let offset = number * PART;
    let size = PART.min(file.size.saturating_sub(offset));
    file.read(offset, usize::try_from(size).unwrap_or_default())
        .await
}

/// An upload in parts.
struct Upload {
    bucket: Arc<Bucket>,
    key: Key,
    file: SpoolFile,
    id: String,
}

impl Upload {
    async fn begin(bucket: Arc<Bucket>, key: Key, file: SpoolFile) -> Result<Self, StorageError> {
        match bucket.client.create_multipart(&key).await {
            Ok(id) => Ok(Self {
                bucket,
                key,
                file,
                id,
            }),
            Err(error) => Err(bucket.failed(STORE, Some(&key), &error)),
        }
    }

    /// Makes it an object, or nothing.
    async fn run(self, stop: CancellationToken) -> Result<(), StorageError> {
        let done = match self.send(stop).await {
            Ok(parts) => self.complete(parts).await,
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.abort().await;
        }
        done
    }

    /// Sends all parts. After a failure, or when stopped, none is begun, and those under way are waited for.
    async fn send(&self, stop: CancellationToken) -> Result<Vec<PartId>, StorageError> {
        let count = self.file.size.div_ceil(PART);
        let sending = stream::iter(0..count)
            .take_until(stop.clone().cancelled_owned())
            .map(|number| self.send_part(number))
            .buffered(PARTS_OF_ONE);
        let mut sending = pin!(sending);
        let mut sent = Ok(Vec::new());
        while let Some(part) = sending.next().await {
            match (part, &mut sent) {
                (Ok(part), Ok(parts)) => parts.push(part),
                (Err(error), Ok(_)) => {
                    stop.cancel();
                    sent = Err(error);
                }
                (_, Err(_)) => {}
            }
        }
        match sent {
            Ok(parts) if parts.len() as u64 != count => Err(self.problem("it was given up")),
            sent => sent,
        }
    }

    async fn send_part(&self, number: u64) -> Result<PartId, StorageError> {
        let _permit = self.bucket.permit().await?;
        let bytes = part(&self.file, number).await?;
        let index = usize::try_from(number).unwrap_or_default();
        let client = &self.bucket.client;
        let sent = client.put_part(&self.key, &self.id, index, bytes.into());
        sent.await
            .map_err(|error| self.bucket.failed(STORE, Some(&self.key), &error))
    }

    async fn complete(&self, parts: Vec<PartId>) -> Result<(), StorageError> {
        let client = &self.bucket.client;
        match client.complete_multipart(&self.key, &self.id, parts).await {
            Ok(_) => Ok(()),
            // The answer may be what was lost; asked again, the service knows no such upload.
            Err(_) if self.is_whole().await => Ok(()),
            Err(error) => Err(self.bucket.failed(STORE, Some(&self.key), &error)),
        }
    }

    /// Whether the blob is there after all, from this upload or another's: the key says what its bytes are.
    async fn is_whole(&self) -> bool {
        let found = self.bucket.client.head(&self.key).await;
        found.is_ok_and(|object| object.size == self.file.size)
    }

    /// Removes the parts. What cannot be removed is left to the bucket's life cycle rule.
    async fn abort(&self) {
        const ABORT: &str = "abort an upload";
        let aborting = self.bucket.client.abort_multipart(&self.key, &self.id);
        let problem = match timeout(ABORT_PATIENCE, aborting).await {
            // Not found: it became an object after all, or was aborted by a rule.
            Ok(Ok(()) | Err(object_store::Error::NotFound { .. })) => return,
            Ok(Err(error)) => self.bucket.failed(ABORT, Some(&self.key), &error),
            Err(_) => self
                .bucket
                .problem(ABORT, Some(&self.key), "no answer in time"),
        };
        tracing::warn!(%problem, "parts of an upload stay in the bucket until its life cycle rule removes them");
    }

    fn problem(&self, problem: &str) -> StorageError {
        self.bucket.problem(STORE, Some(&self.key), problem)
    }
}
