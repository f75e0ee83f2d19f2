//! Archives in a bucket: what the contract of storages does not ask, and services that fail.

mod faults;
mod identity;
mod links;
mod requests;
mod uploads;

use bytes::Bytes;
use futures::TryStreamExt;
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Staged, Storage, StorageError},
};
use package_broker_drivers::storage::s3::S3;
use sha2::{Digest, Sha256};

const MIB: usize = 1 << 20;

fn id_of(content: &[u8]) -> BlobId {
    BlobId(Sha256::digest(content).into())
}

/// Bytes that differ from place to place.
fn content(size: usize) -> Vec<u8> {
    (0..size)
        .map(|at| u8::try_from((at ^ (at >> 8) ^ (at >> 16)) & 0xff).unwrap())
        .collect()
}

async fn stage(storage: &S3, content: &[u8]) -> Box<dyn Staged> {
    let mut staged = storage.stage().await.unwrap();
    for chunk in content.chunks(64 * 1024) {
        staged.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    staged
}

async fn store(storage: &S3, content: &[u8]) -> Result<BlobId, StorageError> {
    let id = id_of(content);
    stage(storage, content).await.commit(&id).await?;
    Ok(id)
}

/// A blob's bytes, or what ended its stream.
async fn fetch(storage: &S3, id: &BlobId) -> Result<Option<Vec<u8>>, StorageError> {
    let Some(blob) = storage.open(id).await? else {
        return Ok(None);
    };
    let chunks: Vec<Bytes> = blob.body.try_collect().await?;
    Ok(Some(chunks.concat()))
}

/// An S3 error as services write it, with what must not be repeated.
fn refusal(code: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>AKIATEST is not welcome</Message>\
         <AWSAccessKeyId>AKIATEST</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 hush</StringToSign>\
         <SignatureProvided>hush</SignatureProvided></Error>"
    )
}

fn shows_no_secret(said: &str) {
    for hidden in [
        "hush",
        "AKIATEST",
        "not/a+real=secret",
        "X-Amz",
        "Signature=",
        "AWS4",
    ] {
        assert!(!said.contains(hidden), "{said}");
    }
}
