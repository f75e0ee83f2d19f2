//! The documents that differ from view to view and hold all names of it: `packages.json` and `list.json` (protocol
//! A.2). Rendered once per change of the catalog, and dated so that equal dates mean equal bytes.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt;
use quick_cache::{Weighter, sync::Cache};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::{
    catalog::{Catalog, Dated},
    compress::compress,
    flight::Flights,
    outline::Outline,
    package::CannotTell,
    root,
    search::PackageList,
    token::Grant,
};
use crate::{
    domain::{scope::Scope, stamp::Stamp},
    ports::database::{Database, DocumentBytes, Encoding},
};

/// Bytes of rendered views that are kept.
const CAPACITY: u64 = 32 << 20;
/// What one entry takes besides its bytes, about.
const OVERHEAD: u64 = 256;

/// Which document of a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `packages.json`
    Root,
    /// `list.json` without a question.
    List,
}

/// A rendered document of a view.
#[derive(Debug)]
pub struct ViewDocument {
    /// Given once in the life of the installation to these very bytes.
    pub dated: Dated,
    document: DocumentBytes,
    generation: u64,
}

impl ViewDocument {
    /// The bytes in an encoding.
    pub fn bytes(&self, encoding: Encoding) -> &Bytes {
        match encoding {
            Encoding::Gzip => &self.document.gzip,
            Encoding::Zstd => &self.document.zstd,
        }
    }
}

type Key = (Kind, [u8; 32]);

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Arc<ViewDocument>> for ByBytes {
    fn weight(&self, _: &Key, rendered: &Arc<ViewDocument>) -> u64 {
        OVERHEAD + (rendered.document.gzip.len() + rendered.document.zstd.len()) as u64
    }
}

/// Answers requests for documents of views.
pub struct ViewService {
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    rendered: Cache<Key, Arc<ViewDocument>, ByBytes>,
    renderings: Flights<Key, Result<Arc<ViewDocument>, CannotTell>>,
}

impl ViewService {
    /// A service over the shared memory, which renders on the runtime of the caller.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(database: Arc<dyn Database>, catalog: Arc<Catalog>) -> Self {
        Self {
            database,
            catalog,
            rendered: Cache::with_weighter(64, CAPACITY, ByBytes),
            renderings: Flights::on(Handle::current()),
        }
    }

    /// A document of an asker's view.
    ///
    /// # Errors
    /// [`CannotTell`] if the database does not answer.
    pub async fn document(
        self: &Arc<Self>,
        grant: &Grant,
        kind: Kind,
    ) -> Result<Arc<ViewDocument>, CannotTell> {
        let key = (kind, grant.view);
        if let Some(document) = self.rendered.get(&key)
            && document.generation == self.catalog.generation()
        {
            return Ok(document);
        }
        let (service, scope) = (Arc::clone(self), grant.scope.clone());
        let work = move || async move { service.render(key, scope).await }.boxed();
        let rendered = self.renderings.join(key, work).await;
        rendered.unwrap_or_else(|| Err(CannotTell::soon("shutting down")))
    }

    async fn render(&self, key: Key, scope: Scope) -> Result<Arc<ViewDocument>, CannotTell> {
        let before = self.rendered.get(&key);
        let generation = self.catalog.generation();
        let catalog = Arc::clone(&self.catalog);
        let rendering = tokio::task::spawn_blocking(move || {
            let json = match key.0 {
                Kind::Root => root::render(
                    catalog.installation().urls().base(),
                    &Outline::of(&catalog, &scope),
                ),
                Kind::List => PackageList::of(&catalog, &scope).json(),
            };
            let digest: [u8; 32] = Sha256::digest(&json).into();
            match before.filter(|before| before.document.digest == digest) {
                Some(same) => (same.document.clone(), Some(same.dated)),
                None => (compress(&json), None),
            }
        });
        let (document, dated) = rendering
            .await
            .map_err(|_| CannotTell::soon("shutting down"))?;
        let dated = match dated {
            Some(dated) => dated,
            None => self.date(key, &document.digest).await?,
        };
        let rendered = Arc::new(ViewDocument {
            dated,
            document,
            generation,
        });
        self.rendered.insert(key, Arc::clone(&rendered));
        Ok(rendered)
    }

    async fn date(&self, (kind, view): Key, digest: &[u8; 32]) -> Result<Dated, CannotTell> {
        let view = match kind {
            Kind::Root => view,
            Kind::List => Sha256::new()
                .chain_update(b"list")
                .chain_update(view)
                .finalize()
                .into(),
        };
        let stamp = self
            .database
            .root_stamp(&view, digest, Stamp::now())
            .await?;
        Ok(stamp.into())
    }
}
