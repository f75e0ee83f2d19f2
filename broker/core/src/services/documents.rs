//! Published documents in memory, bounded by bytes.

use std::sync::Arc;

use bytes::Bytes;
use quick_cache::{Weighter, sync::Cache};

use super::catalog::Dated;
use crate::{
    domain::{metadata::Channel, names::PackageName},
    ports::database::Encoding,
};

/// What a cached document costs besides its bytes: keys, stamps and the cache's own books.
const OVERHEAD: u64 = 256;

/// A document as it goes on the wire.
#[derive(Debug)]
pub struct Document {
    /// When it last changed.
    pub dated: Dated,
    /// Its bytes, compressed.
    pub bytes: Bytes,
}

/// Name, channel and encoding.
pub type DocumentKey = (PackageName, Channel, Encoding);

#[derive(Clone)]
struct ByBytes;

impl Weighter<DocumentKey, Arc<Document>> for ByBytes {
    fn weight(&self, _key: &DocumentKey, document: &Arc<Document>) -> u64 {
        OVERHEAD + document.bytes.len() as u64
    }
}

/// The cache. A document found under an older stamp than the catalog's is stale, so nothing has to be removed.
pub struct Documents {
    cache: Cache<DocumentKey, Arc<Document>, ByBytes>,
}

impl Documents {
    /// A cache of at most `capacity` bytes.
    pub fn new(capacity: u64) -> Self {
        let expected = usize::try_from(capacity / 4096)
            .unwrap_or(usize::MAX)
            .clamp(64, 1 << 16);
        Self {
            cache: Cache::with_weighter(expected, capacity, ByBytes),
        }
    }

    /// A document, if it is here under this very stamp.
    pub fn get(&self, key: &DocumentKey, dated: &Dated) -> Option<Arc<Document>> {
        self.cache
            .get(key)
            .filter(|document| document.dated.stamp == dated.stamp)
    }

    /// Keeps a document.
    pub fn insert(&self, key: DocumentKey, document: Arc<Document>) {
        self.cache.insert(key, document);
    }

    /// Changes the bound.
    pub fn resize(&self, capacity: u64) {
        self.cache.set_capacity(capacity);
    }

    /// Bytes held now.
    pub fn weight(&self) -> u64 {
        self.cache.weight()
    }

    /// The most bytes it holds.
    pub fn capacity(&self) -> u64 {
        self.cache.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::stamp::Stamp;

    #[test]
    fn memory_stays_within_the_bound() {
        let documents = Documents::new(1 << 20);
        for number in 0..10_000 {
            let name = PackageName::parse(&format!("acme/p{number}")).unwrap();
            let document = Document {
                dated: Stamp(1).into(),
                bytes: vec![0; 4000].into(),
            };
            documents.insert((name, Channel::Stable, Encoding::Gzip), Arc::new(document));
            assert!(documents.weight() <= 1 << 20);
        }
        assert!(documents.weight() > 1 << 19);
    }

    #[test]
    fn a_stale_document_is_not_found() {
        let documents = Documents::new(1 << 20);
        let key = (
            PackageName::parse("acme/lib").unwrap(),
            Channel::Stable,
            Encoding::Gzip,
        );
        documents.insert(
            key.clone(),
            Arc::new(Document {
                dated: Stamp(1).into(),
                bytes: Bytes::new(),
            }),
        );
        assert!(documents.get(&key, &Stamp(1).into()).is_some());
        assert!(documents.get(&key, &Stamp(2).into()).is_none());
    }
}
