//! Reading a blob: the connection's chunks, and an end only after the last byte.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt, stream, stream::BoxStream};
use object_store::{ObjectStoreExt, path::Path as Key};
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Blob, StorageError},
};

use super::{Bucket, failure};

/// The most bytes of a chunk. The connection gives less, as a rule.
const CHUNK: usize = 256 * 1024;

pub(super) const READ: &str = "read an object";

/// Asks for a blob; `None` if the service has no such object. Its bytes are fetched as they are read. A connection
/// that breaks on the way is made again for the rest, if the object is still the same one (by its `ETag`).
pub(super) async fn open(bucket: Arc<Bucket>, id: &BlobId) -> Result<Option<Blob>, StorageError> {
    let key = bucket.key(id);
    let object = match bucket.client.get(&key).await {
        Ok(object) => object,
        Err(error) if failure::is_missing(&error) => return Ok(None),
        Err(error) => return Err(bucket.failed(READ, Some(&key), &error)),
    };
    let size = object.meta.size;
    let rest = Rest {
        bucket,
        key,
        incoming: object.into_stream(),
        held: Bytes::new(),
        bytes: size,
    };
    Ok(Some(Blob {
        size,
        body: body(rest).boxed(),
    }))
}

/// What of an object is still to be read.
struct Rest {
    bucket: Arc<Bucket>,
    key: Key,
    incoming: BoxStream<'static, object_store::Result<Bytes>>,
    /// What has come, but was not given yet.
    held: Bytes,
    /// How much is still to come.
    bytes: u64,
}

impl Rest {
    /// The next chunk; `None` after the last.
    async fn read(&mut self) -> Result<Option<Bytes>, StorageError> {
        while self.held.is_empty() {
            match self.incoming.next().await {
                Some(Ok(chunk)) => {
                    self.bytes = self
                        .bytes
                        .checked_sub(chunk.len() as u64)
                        .ok_or_else(|| self.problem("there are more bytes than it has"))?;
                    self.held = chunk;
                }
                Some(Err(error)) => {
                    return Err(self.bucket.failed(READ, Some(&self.key), &error));
                }
                None if self.bytes == 0 => return Ok(None),
                None => {
                    return Err(
                        self.problem(&format!("it was cut: {} bytes are missing", self.bytes))
                    );
                }
            }
        }
        let size = self.held.len().min(CHUNK);
        Ok(Some(self.held.split_to(size)))
    }

    fn problem(&self, problem: &str) -> StorageError {
        self.bucket.problem(READ, Some(&self.key), problem)
    }
}

fn body(rest: Rest) -> impl Stream<Item = Result<Bytes, StorageError>> + Send + 'static {
    stream::unfold(Some(rest), |rest| async move {
        let mut rest = rest?;
        match rest.read().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(rest))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
}
