//! The promises of `ports::storage`.

use std::{future::Future, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, future::join_all};
use package_broker_core::{
    domain::archive::BlobId,
    ports::storage::{Blob, Linked, Links, Staged, Storage, StorageError},
};
use package_broker_drivers::storage::s3::S3;
use sha2::{Digest, Sha256};

fn id_of(content: &[u8]) -> BlobId {
    BlobId(Sha256::digest(content).into())
}

/// Bytes that differ from place to place and from seed to seed.
fn content(size: usize, seed: u32) -> Vec<u8> {
    let word = |at: usize| {
        let mixed = u32::try_from(at)
            .unwrap()
            .wrapping_add(seed << 24)
            .wrapping_mul(2_654_435_761);
        u8::try_from(mixed >> 24).unwrap()
    };
    (0..size).map(word).collect()
}

async fn stage(storage: &dyn Storage, content: &[u8]) -> Box<dyn Staged> {
    let mut staged = storage.stage().await.unwrap();
    for chunk in content.chunks(70_000) {
        staged.write(Bytes::copy_from_slice(chunk)).await.unwrap();
    }
    staged
}

async fn store(storage: &dyn Storage, content: &[u8]) -> BlobId {
    let id = id_of(content);
    stage(storage, content).await.commit(&id).await.unwrap();
    id
}

async fn fetch(storage: &dyn Storage, id: &BlobId) -> Option<Vec<u8>> {
    let blob = storage.open(id).await.unwrap()?;
    let chunks: Vec<Bytes> = blob.body.try_collect().await.unwrap();
    let bytes = chunks.concat();
    assert_eq!(blob.size, bytes.len() as u64);
    Some(bytes)
}

mod blobs {
    use super::*;

    pub(crate) async fn what_was_committed_comes_back(storage: &dyn Storage) {
        const MIB: usize = 1 << 20;
        for size in [0, 1, 1_000, MIB - 1, MIB, MIB + 1, 3 * MIB + 7] {
            let content = content(size, 1);
            let id = store(storage, &content).await;
            assert!(
                fetch(storage, &id).await.as_ref() == Some(&content),
                "{size}"
            );
        }
    }

    pub(crate) async fn no_chunk_is_larger_than_a_mebibyte(storage: &dyn Storage) {
        let mut staged = storage.stage().await.unwrap();
        let content = content(5 << 20, 2);
        staged.write(Bytes::from(content.clone())).await.unwrap();
        staged.commit(&id_of(&content)).await.unwrap();
        let mut body = storage.open(&id_of(&content)).await.unwrap().unwrap().body;
        let mut read = 0;
        while let Some(chunk) = body.next().await {
            let chunk = chunk.unwrap();
            assert!(chunk.len() <= 1 << 20, "{}", chunk.len());
            read += chunk.len();
        }
        assert_eq!(read, content.len());
    }

    pub(crate) async fn empty_chunks_are_nothing(storage: &dyn Storage) {
        let mut staged = storage.stage().await.unwrap();
        for chunk in [&b""[..], b"a", b"", b"b", b""] {
            staged.write(Bytes::from_static(chunk)).await.unwrap();
        }
        staged.commit(&id_of(b"ab")).await.unwrap();
        assert_eq!(fetch(storage, &id_of(b"ab")).await.unwrap(), b"ab");
    }

    pub(crate) async fn a_blob_that_is_not_there_is_none(storage: &dyn Storage) {
        assert!(fetch(storage, &id_of(b"never stored")).await.is_none());
    }

    pub(crate) async fn a_removed_blob_is_gone_and_may_come_back(storage: &dyn Storage) {
        let id = store(storage, b"content").await;
        let other = store(storage, b"other").await;
        storage.remove(&id).await.unwrap();
        storage.remove(&id).await.unwrap();
        assert!(fetch(storage, &id).await.is_none());
        assert_eq!(fetch(storage, &other).await.unwrap(), b"other");
        store(storage, b"content").await;
        assert_eq!(fetch(storage, &id).await.unwrap(), b"content");
    }

    pub(crate) async fn the_size_is_told_of_what_was_committed_and_of_nothing_else(
        storage: &dyn Storage,
    ) {
        for size in [0, 1, (1 << 20) + 1] {
            let content = content(size, 11);
            let id = id_of(&content);
            let staged = stage(storage, &content).await;
            assert_eq!(storage.size(&id).await.unwrap(), None, "{size}");
            staged.commit(&id).await.unwrap();
            assert_eq!(storage.size(&id).await.unwrap(), Some(size as u64));
            storage.remove(&id).await.unwrap();
            assert_eq!(storage.size(&id).await.unwrap(), None, "{size}");
        }
    }

    pub(crate) async fn removing_what_was_never_there_is_no_error(storage: &dyn Storage) {
        storage.remove(&id_of(b"never stored")).await.unwrap();
    }
}

/// What storage promises that clients can read from themselves.
mod links {
    use std::time::Duration;

    use super::*;

    async fn ask(method: reqwest::Method, url: &str) -> (u16, Option<u64>, Vec<u8>) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client.request(method, url).send().await.unwrap();
        let length = answer.headers().get("content-length");
        let length = length.map(|length| length.to_str().unwrap().parse().unwrap());
        let status = answer.status().as_u16();
        (status, length, answer.bytes().await.unwrap().to_vec())
    }

    pub(crate) async fn whoever_has_a_link_reads_what_it_is_for(storage: &dyn Storage) {
        let (get, head) = (reqwest::Method::GET, reqwest::Method::HEAD);
        let content = content(70_000, 12);
        let id = store(storage, &content).await;
        let links = storage.links().unwrap();
        let time = Duration::from_millis(60_999);
        let bytes = links.link(&id, Linked::Bytes, time).await.unwrap();
        let size = links.link(&id, Linked::Head, time).await.unwrap();
        let (status, _, body) = ask(get.clone(), bytes.expose()).await;
        assert!(status == 200 && body == content, "{status}");
        let (status, length, _) = ask(head, size.expose()).await;
        assert_eq!((status, length), (200, Some(70_000)));
        // A permission for the one is none for the other.
        let (status, _, body) = ask(get, size.expose()).await;
        assert!(status == 403 && body != content, "{status}");
    }

    pub(crate) async fn a_link_may_be_made_before_the_blob_is_there(storage: &dyn Storage) {
        let links = storage.links().unwrap();
        let id = id_of(b"not yet");
        let link = links.link(&id, Linked::Bytes, Duration::from_mins(1));
        let link = link.await.unwrap();
        assert_eq!(ask(reqwest::Method::GET, link.expose()).await.0, 404);
        store(storage, b"not yet").await;
        assert_eq!(ask(reqwest::Method::GET, link.expose()).await.0, 200);
    }

    pub(crate) async fn a_link_is_not_shown_by_accident(storage: &dyn Storage) {
        let links = storage.links().unwrap();
        let id = id_of(b"x");
        let link = links.link(&id, Linked::Bytes, Duration::from_mins(1));
        let link = link.await.unwrap();
        assert_eq!(format!("{link:?}"), "Link(…)");
    }
}

mod staging {
    use super::*;

    pub(crate) async fn nothing_is_there_before_the_commit(storage: &dyn Storage) {
        let content = content(2 << 20, 3);
        let staged = stage(storage, &content).await;
        assert!(fetch(storage, &id_of(&content)).await.is_none());
        staged.commit(&id_of(&content)).await.unwrap();
        assert!(fetch(storage, &id_of(&content)).await.unwrap() == content);
    }

    pub(crate) async fn what_is_dropped_never_becomes_a_blob(storage: &dyn Storage) {
        let whole = content(2 << 20, 4);
        drop(stage(storage, &whole).await);
        drop(stage(storage, &whole[..10]).await);
        drop(storage.stage().await.unwrap());
        assert!(fetch(storage, &id_of(&whole)).await.is_none());
        assert!(fetch(storage, &id_of(&whole[..10])).await.is_none());
        assert!(fetch(storage, &id_of(b"")).await.is_none());
    }

    pub(crate) async fn committing_what_is_there_is_no_error(storage: &dyn Storage) {
        let content = content(1 << 20, 5);
        for _ in 0..3 {
            let id = store(storage, &content).await;
            assert!(fetch(storage, &id).await.unwrap() == content);
        }
    }

    pub(crate) async fn the_same_blob_may_be_committed_by_many_at_once(storage: &dyn Storage) {
        let content = content(500_000, 6);
        let commits = (0..8).map(|_| store(storage, &content));
        join_all(commits).await;
        assert!(fetch(storage, &id_of(&content)).await.unwrap() == content);
    }

    pub(crate) async fn writers_at_once_do_not_mix(storage: &dyn Storage) {
        let contents: Vec<Vec<u8>> = (0..16)
            .map(|seed| content(300_000 + seed as usize, seed))
            .collect();
        let ids = join_all(contents.iter().map(|content| store(storage, content))).await;
        for (id, content) in ids.iter().zip(&contents) {
            assert!(fetch(storage, id).await.as_ref() == Some(content));
        }
    }

    pub(crate) async fn a_blob_is_whole_while_others_commit_it_again(storage: &dyn Storage) {
        let content = content(1_500_000, 7);
        let id = store(storage, &content).await;
        let read = async {
            for _ in 0..20 {
                assert!(fetch(storage, &id).await.unwrap() == content);
            }
        };
        let write = async {
            for _ in 0..20 {
                store(storage, &content).await;
            }
        };
        tokio::join!(read, write);
    }

    pub(crate) async fn a_commit_given_up_leaves_all_or_nothing(storage: &dyn Storage) {
        for polls in 0..6u32 {
            let content = content(600_000, 100 + polls);
            let id = id_of(&content);
            let staged = stage(storage, &content).await;
            let mut commit = staged.commit(&id);
            for _ in 0..polls {
                let _ = futures::poll!(&mut commit);
                tokio::task::yield_now().await;
            }
            drop(commit);
            let found = fetch(storage, &id).await;
            assert!(found.is_none_or(|found| found == content), "{polls}");
            store(storage, &content).await;
            assert!(fetch(storage, &id).await.unwrap() == content);
        }
    }
}

/// Blobs survive a restart, and nothing else does. Returns with the last driver gone, so that a driver's own test can
/// look at what is left.
async fn only_blobs_survive_a_restart<S, F>(open: impl Fn() -> F)
where
    S: Storage,
    F: Future<Output = S>,
{
    let storage = open().await;
    let kept = store(&storage, &content(900_000, 8)).await;
    let removed = store(&storage, b"removed").await;
    storage.remove(&removed).await.unwrap();
    drop(stage(&storage, &content(400_000, 9)).await);
    drop(storage);
    for _ in 0..2 {
        let storage = open().await;
        assert!(fetch(&storage, &kept).await.unwrap() == content(900_000, 8));
        assert!(fetch(&storage, &removed).await.is_none());
        assert!(
            fetch(&storage, &id_of(&content(400_000, 9)))
                .await
                .is_none()
        );
    }
}

/// A test of each promise, for a storage that `$open` makes.
macro_rules! every_promise {
    ($open:expr) => {
        promises!(
            $open,
            blobs::a_blob_that_is_not_there_is_none,
            blobs::a_removed_blob_is_gone_and_may_come_back,
            blobs::empty_chunks_are_nothing,
            blobs::no_chunk_is_larger_than_a_mebibyte,
            blobs::removing_what_was_never_there_is_no_error,
            blobs::the_size_is_told_of_what_was_committed_and_of_nothing_else,
            blobs::what_was_committed_comes_back,
            staging::a_blob_is_whole_while_others_commit_it_again,
            staging::a_commit_given_up_leaves_all_or_nothing,
            staging::committing_what_is_there_is_no_error,
            staging::nothing_is_there_before_the_commit,
            staging::the_same_blob_may_be_committed_by_many_at_once,
            staging::what_is_dropped_never_becomes_a_blob,
            staging::writers_at_once_do_not_mix,
        );
    };
}

/// The same for one that has links.
macro_rules! every_promise_of_links {
    ($open:expr) => {
        promises!(
            $open,
            links::a_link_is_not_shown_by_accident,
            links::a_link_may_be_made_before_the_blob_is_there,
            links::whoever_has_a_link_reads_what_it_is_for,
        );
    };
}

mod filesystem {
    use std::path::Path;

    use async_trait::async_trait;
    use package_broker_core::ports::storage::{Blob, StorageError};
    use package_broker_drivers::storage::filesystem::Filesystem;
    use tempfile::TempDir;

    use super::{super::promises, *};

    /// A storage whose folder goes with it.
    struct Temporary {
        storage: Filesystem,
        _dir: TempDir,
    }

    async fn temporary() -> Temporary {
        let dir = tempfile::tempdir().unwrap();
        Temporary {
            storage: Filesystem::open(dir.path()).await.unwrap(),
            _dir: dir,
        }
    }

    #[async_trait]
    impl Storage for Temporary {
        async fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
            self.storage.stage().await
        }

        async fn open(&self, id: &BlobId) -> Result<Option<Blob>, StorageError> {
            self.storage.open(id).await
        }

        async fn size(&self, id: &BlobId) -> Result<Option<u64>, StorageError> {
            self.storage.size(id).await
        }

        async fn remove(&self, id: &BlobId) -> Result<(), StorageError> {
            self.storage.remove(id).await
        }

        fn links(&self) -> Option<&dyn Links> {
            self.storage.links()
        }
    }

    every_promise!(temporary().await);

    fn files_below(dir: &Path) -> usize {
        let entries = std::fs::read_dir(dir).unwrap().map(Result::unwrap);
        entries
            .map(|entry| {
                if entry.path().is_dir() {
                    files_below(&entry.path())
                } else {
                    1
                }
            })
            .sum()
    }

    #[tokio::test]
    async fn files_have_no_links() {
        assert!(temporary().await.links().is_none());
    }

    #[tokio::test]
    async fn restart() {
        let dir = tempfile::tempdir().unwrap();
        only_blobs_survive_a_restart(|| async { Filesystem::open(dir.path()).await.unwrap() })
            .await;
        assert_eq!(files_below(dir.path()), 2, "the lock and one blob");
    }

    #[tokio::test]
    async fn a_folder_is_opened_again_right_after_staged_blobs_were_dropped() {
        let dir = tempfile::tempdir().unwrap();
        for _ in 0..50 {
            let storage = Filesystem::open(dir.path()).await.unwrap();
            let staged = join_all((0..20).map(|_| stage(&storage, b"half"))).await;
            drop((staged, storage));
        }
    }
}

/// A bucket opened together with what it needs to be there.
struct Kept<K> {
    bucket: S3,
    _with: K,
}

#[async_trait]
impl<K: Send + Sync> Storage for Kept<K> {
    async fn stage(&self) -> Result<Box<dyn Staged>, StorageError> {
        self.bucket.stage().await
    }

    async fn open(&self, id: &BlobId) -> Result<Option<Blob>, StorageError> {
        self.bucket.open(id).await
    }

    async fn size(&self, id: &BlobId) -> Result<Option<u64>, StorageError> {
        self.bucket.size(id).await
    }

    async fn remove(&self, id: &BlobId) -> Result<(), StorageError> {
        self.bucket.remove(id).await
    }

    fn links(&self) -> Option<&dyn Links> {
        self.bucket.links()
    }
}

mod s3 {
    use super::{super::promises, *};
    use crate::support::bucket::TestBucket;

    fn temporary() -> Kept<TestBucket> {
        let bucket = TestBucket::start();
        Kept {
            bucket: bucket.open(),
            _with: bucket,
        }
    }

    every_promise!(temporary());
    every_promise_of_links!(temporary());

    #[tokio::test]
    async fn restart() {
        let bucket = TestBucket::start();
        only_blobs_survive_a_restart(|| async { bucket.open() }).await;
        assert_eq!(bucket.keys().len(), 1, "one blob");
        assert_eq!(bucket.unfinished(), [""; 0]);
    }

    #[tokio::test]
    async fn two_openings_of_one_bucket_see_each_others_blobs() {
        let bucket = TestBucket::start();
        let (one, other) = (bucket.open(), bucket.open());
        let content = content(1_200_000, 10);
        let id = store(&one, &content).await;
        assert!(fetch(&other, &id).await.unwrap() == content);
        tokio::join!(store(&one, &content), store(&other, &content));
        other.remove(&id).await.unwrap();
        assert!(fetch(&one, &id).await.is_none());
    }
}

/// The same on a real service.
mod garage {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use package_broker_drivers::storage::s3::{S3Credentials, S3Options};
    use package_broker_e2e::garage::Garage;
    use tempfile::TempDir;

    use super::{super::promises, *};
    use crate::support::bucket::options;

    fn open(server: &Garage, prefix: &str, scratch: &TempDir) -> S3 {
        let options = S3Options {
            bucket: Garage::BUCKET.to_owned(),
            prefix: prefix.to_owned(),
            credentials: S3Credentials::Static {
                access_key_id: Garage::KEY.to_owned(),
                secret_access_key: Garage::SECRET.into(),
                session_token: None,
            },
            ..options(&server.endpoint())
        };
        S3::open(&options, scratch.path()).unwrap()
    }

    /// A folder of its own in the bucket of a server that all of them share.
    fn temporary() -> Kept<(Arc<Garage>, TempDir)> {
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("test{}", FOLDERS.fetch_add(1, Ordering::Relaxed));
        let (server, scratch) = (Garage::shared().unwrap(), tempfile::tempdir().unwrap());
        Kept {
            bucket: open(&server, &prefix, &scratch),
            _with: (server, scratch),
        }
    }

    every_promise!(temporary());
    every_promise_of_links!(temporary());

    #[tokio::test(flavor = "multi_thread")]
    async fn large_archives_go_up_in_parts_and_by_signed_link() {
        let temporary = temporary();
        let storage = &temporary.bucket;
        let content = content(40 << 20, 11);
        let id = store(storage, &content).await;
        assert!(fetch(storage, &id).await.unwrap() == content);
        let link = storage.link(&id, Linked::Bytes, Duration::from_mins(1));
        let link = link.await.unwrap().expose().to_owned();
        let answer = tokio::task::spawn_blocking(move || package_broker_e2e::http::get(&link, &[]));
        let answer = answer.await.unwrap().unwrap();
        assert_eq!(answer.status, 200);
        assert!(answer.body == content);
    }
}
