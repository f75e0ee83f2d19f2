//! What the contract tests cannot see: paths, modes, what a crash leaves, what a fault leaves.

use std::{os::unix::fs::PermissionsExt, path::Path};

use bytes::Bytes;
use futures::TryStreamExt;
use package_broker_core::{domain::archive::BlobId, ports::storage::Storage};
use sha2::{Digest, Sha256};

use super::Filesystem;

async fn store(storage: &Filesystem, content: &[u8]) -> BlobId {
    let id = BlobId(Sha256::digest(content).into());
    let mut staged = storage.stage().await.unwrap();
    for chunk in content.chunks(100_000) {
        staged.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    staged.commit(&id).await.unwrap();
    id
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files_in(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn blobs_are_private_files_under_their_digest() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("made/archives");
    let storage = Filesystem::open(&root).await.unwrap();
    let id = store(&storage, b"content").await;
    let path = root.join("blobs").join(&id.hex()[..2]).join(id.hex());
    assert_eq!(std::fs::read(&path).unwrap(), b"content");
    assert_eq!(
        (mode(&path), mode(&root), mode(path.parent().unwrap())),
        (0o600, 0o700, 0o700)
    );
    assert_eq!(files_in(&root.join("staging")), 0);
}

#[tokio::test]
async fn large_blobs_come_in_bounded_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Filesystem::open(dir.path()).await.unwrap();
    for size in [0_usize, 1, 256 * 1024, 256 * 1024 + 1, 3_000_000] {
        let content: Vec<u8> = (0..size)
            .map(|at| u8::try_from(at % 251).unwrap())
            .collect();
        let id = store(&storage, &content).await;
        let blob = storage.open(&id).await.unwrap().unwrap();
        assert_eq!(blob.size, size as u64);
        let chunks: Vec<Bytes> = blob.body.try_collect().await.unwrap();
        assert!(chunks.iter().all(|chunk| chunk.len() <= 256 * 1024));
        assert!(chunks.concat() == content, "{size}");
    }
}

#[tokio::test]
async fn what_a_crash_left_in_staging_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    drop(Filesystem::open(dir.path()).await.unwrap());
    std::fs::write(dir.path().join("staging/0123456789abcdef"), b"half").unwrap();
    let _storage = Filesystem::open(dir.path()).await.unwrap();
    assert_eq!(files_in(&dir.path().join("staging")), 0);
}

#[tokio::test]
async fn a_folder_has_one_user_until_the_last_staged_blob_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Filesystem::open(dir.path()).await.unwrap();
    let text = Filesystem::open(dir.path()).await.unwrap_err().to_string();
    assert!(
        text.contains("another process holds") && text.contains("lock"),
        "{text}"
    );
    let staged = storage.stage().await.unwrap();
    drop(storage);
    assert!(Filesystem::open(dir.path()).await.is_err());
    drop(staged);
    assert!(Filesystem::open(dir.path()).await.is_ok());
}

#[tokio::test]
async fn a_blob_cut_while_it_is_read_ends_in_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Filesystem::open(dir.path()).await.unwrap();
    let id = store(&storage, &vec![1; 1_000_000]).await;
    let mut body = storage.open(&id).await.unwrap().unwrap().body;
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(storage.folder.blob(&id))
        .unwrap();
    file.set_len(300_000).unwrap();
    let mut read = 0;
    let error = loop {
        match body.try_next().await {
            Ok(Some(chunk)) => read += chunk.len(),
            Ok(None) => panic!("a cut blob ended as if it were whole"),
            Err(error) => break error,
        }
    };
    assert!(
        read <= 300_000 && error.to_string().contains("was cut"),
        "{error}"
    );
    assert!(body.try_next().await.unwrap().is_none());
}

#[tokio::test]
async fn after_a_failed_write_nothing_can_be_committed() {
    let dir = tempfile::tempdir().unwrap();
    let storage = Filesystem::open(dir.path()).await.unwrap();
    let id = BlobId([1; 32]);
    let mut staged = super::StagedFile::create(std::sync::Arc::clone(&storage.folder)).unwrap();
    staged.fail_writes();
    let mut staged: Box<dyn package_broker_core::ports::storage::Staged> = Box::new(staged);
    assert!(staged.write(Bytes::from(vec![0; 1 << 20])).await.is_err());
    assert!(staged.write(Bytes::from(vec![0; 1 << 20])).await.is_err());
    assert!(staged.commit(&id).await.is_err());
    assert!(storage.open(&id).await.unwrap().is_none());
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let text = Filesystem::open(&file.join("archives"))
        .await
        .unwrap_err()
        .to_string();
    assert!(text.contains("file/archives"), "{text}");
}
