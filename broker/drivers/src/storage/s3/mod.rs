//! Archives as objects in a bucket of an S3 service, shared by any number of processes.
//!
//! ```text
//! [<prefix>/]blobs/<2 hex>/<64 hex>   whole blobs, under the SHA-256 of their bytes
//! ```
//!
//! An object appears whole or not at all, and a key says what its bytes are: two that store the same blob at once do
//! no harm. So the bucket is never a lock, and no request depends on conditional writes, which services differ in.
//!
//! **Integrity.** Every upload is signed together with the SHA-256 of its bytes, which every service verifies. The
//! newer checksum headers are not sent: they would add nothing, and some services refuse them in uploads of parts.
//!
//! **Memory.** A blob being written takes 1 MiB, what is beyond goes to an unlinked file in the scratch folder. A blob
//! beyond 8 MiB is uploaded in parts of that size, two of a blob and four of all blobs at a time: 32 MiB for all uploads
//! of an opening. A blob being read takes what the connection holds and one chunk.
//!
//! **Leftovers.** An upload that fails or is given up is aborted. A process that is killed, or a service that fails
//! for ever, may leave parts behind: they are invisible, but cost space. A life cycle rule
//! `AbortIncompleteMultipartUpload` removes them.
//!
//! **Links.** They are presigned for one object and one method, and lead to the endpoint of the options: clients that are
//! given some have to reach it under that name.
//!
//! **Rights.** `s3:GetObject`, `s3:PutObject`, `s3:DeleteObject`, `s3:AbortMultipartUpload` on the objects and
//! `s3:ListBucket` on the bucket, without which a service answers 403 for a lost object and not 404.

mod client;
mod failure;
mod options;
mod read;
mod spool;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use object_store::{
    ObjectStoreExt,
    aws::AmazonS3,
    list::{PaginatedListOptions, PaginatedListStore},
    path::Path as Key,
    signer::Signer,
};
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Blob, Link, Linked, Links, Staged, Storage, StorageError},
    telemetry::calling,
};
use tokio::sync::Semaphore;

pub use self::options::{InvalidOption, Patience, S3Credentials, S3Options};
use self::{spool::Spool, write::StagedObject};

/// The longest a link may be good for: what the signature allows.
const LONGEST_LINK: Duration = Duration::from_hours(7 * 24);

/// What the service is called in traces.
const SERVICE: &str = "S3";
const LOOK: &str = "look at an object";
const REMOVE: &str = "remove an object";

/// A bucket of blobs. Cheap to clone.
#[derive(Clone)]
pub struct S3 {
    bucket: Arc<Bucket>,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("S3").field(&self.bucket.place).finish()
    }
}

/// What all blobs of an opening share.
struct Bucket {
    client: AmazonS3,
    /// The bucket in the words of an error.
    place: String,
    /// What keys begin with, up to the digits.
    folder: String,
    scratch: PathBuf,
    /// One permit for each part in memory.
    parts: Arc<Semaphore>,
}

impl S3 {
    /// Opens a bucket. `scratch` is a folder of this machine for blobs being written; nothing in it has a name, so
    /// many processes may share it. Nothing is asked of the service yet: see [`S3::check`].
    ///
    /// # Errors
    /// [`InvalidOption`] if an option cannot be used, whatever the service says.
    pub fn open(options: &S3Options, scratch: &Path) -> Result<Self, InvalidOption> {
        let checked = options.checked()?;
        let bucket = Bucket {
            client: client::build(options, &checked)?,
            place: format!(
                "the bucket `{}` at {}",
                options.bucket,
                checked.endpoint.as_str().trim_end_matches('/')
            ),
            folder: checked.folder,
            scratch: scratch.to_owned(),
            parts: Arc::new(Semaphore::new(write::PARTS_AT_ONCE)),
        };
        Ok(Self {
            bucket: Arc::new(bucket),
        })
    }

    /// Asks the service for one key, to learn at the start whether the options are right.
    ///
    /// # Errors
    /// [`StorageError`] that says what to change: the service cannot be reached, does not accept the credentials,
    /// has no such bucket, or does not let us list it.
    pub async fn check(&self) -> Result<(), StorageError> {
        let one = PaginatedListOptions {
            max_keys: Some(1),
            ..PaginatedListOptions::default()
        };
        let listed = self
            .bucket
            .client
            .list_paginated(Some(&self.bucket.folder), one)
            .await;
        listed
            .map(drop)
            .map_err(|error| self.bucket.failed("list its bucket", None, &error))
    }
}

#[async_trait]
impl Storage for S3 {
    async fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        let bucket = Arc::clone(&self.bucket);
        let spool = Spool::new(bucket.scratch.clone());
        Ok(Box::new(StagedObject::new(bucket, spool)))
    }

    async fn open(&self, id: &BlobId) -> Result<Option<Blob>, StorageError> {
        calling(
            SERVICE,
            read::READ,
            read::open(Arc::clone(&self.bucket), id),
        )
        .await
    }

    async fn size(&self, id: &BlobId) -> Result<Option<u64>, StorageError> {
        let key = self.bucket.key(id);
        match calling(SERVICE, LOOK, self.bucket.client.head(&key)).await {
            Ok(object) => Ok(Some(object.size)),
            // An answer to HEAD has no body that would say what is missing: the object, or all there was.
            Err(object_store::Error::NotFound { .. }) => {
                let blob = read::open(Arc::clone(&self.bucket), id).await?;
                Ok(blob.map(|blob| blob.size))
            }
            Err(error) => Err(self.bucket.failed(LOOK, Some(&key), &error)),
        }
    }

    async fn remove(&self, id: &BlobId) -> Result<(), StorageError> {
        let key = self.bucket.key(id);
        match calling(SERVICE, REMOVE, self.bucket.client.delete(&key)).await {
            Err(error) if !failure::is_missing(&error) => {
                Err(self.bucket.failed(REMOVE, Some(&key), &error))
            }
            _ => Ok(()),
        }
    }

    fn links(&self) -> Option<&dyn Links> {
        Some(self)
    }
}

#[async_trait]
impl Links for S3 {
    /// Presigned: the service itself checks it. Made with temporary credentials, it ends with them.
    async fn link(&self, id: &BlobId, what: Linked, time: Duration) -> Result<Link, StorageError> {
        const SIGN: &str = "sign a link";
        if time < Duration::from_secs(1) || time > LONGEST_LINK {
            return Err(StorageError::new(
                SIGN,
                "a link is good for a second up to seven days",
            ));
        }
        let method = match what {
            Linked::Bytes => http::Method::GET,
            Linked::Head => http::Method::HEAD,
        };
        let key = self.bucket.key(id);
        let signed = self.bucket.client.signed_url(method, &key, time).await;
        signed
            .map(|url| Link::new(url.as_str()))
            .map_err(|error| self.bucket.failed(SIGN, Some(&key), &error))
    }
}

impl Bucket {
    /// Where a blob is, or would be.
    fn key(&self, id: &BlobId) -> Key {
        let name = id.hex();
        let group = name.get(..2).unwrap_or_default();
        Key::from(format!("{}{group}/{name}", self.folder))
    }

    /// What went wrong in the bucket, with `key`.
    fn failed(
        &self,
        action: &'static str,
        key: Option<&Key>,
        error: &object_store::Error,
    ) -> StorageError {
        self.problem(action, key, failure::explain(error))
    }

    fn problem(
        &self,
        action: &'static str,
        key: Option<&Key>,
        problem: impl fmt::Display,
    ) -> StorageError {
        let place = &self.place;
        let problem = match key {
            Some(key) => format!("`{key}` in {place}: {problem}"),
            None => format!("{place}: {problem}"),
        };
        StorageError::new(action, problem)
    }
}
