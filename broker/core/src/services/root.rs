//! The root file `packages.json`, one for each view, rendered once per change (protocol A.2).

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    catalog::{Catalog, Dated},
    compress::compress,
    package::CannotTell,
    token::Grant,
};
use crate::{
    domain::{names::PackageName, patterns::NamePattern, scope::Scope, stamp::Stamp},
    ports::{
        database::{Database, Encoding},
        source::Listing,
    },
};

/// A pattern that no legal name matches: says "nothing at all", which an empty list does not (protocol A.2).
const NOTHING: &str = "-/-";

/// Views kept in memory. There are as many as tokens with different scopes.
const MAX_VIEWS: usize = 1_000;

/// A rendered root file.
#[derive(Debug)]
pub struct Root {
    /// Given once in the life of the installation to these very bytes.
    pub dated: Dated,
    gzip: Bytes,
    zstd: Bytes,
    generation: u64,
}

impl Root {
    /// The bytes in an encoding.
    pub fn bytes(&self, encoding: Encoding) -> &Bytes {
        match encoding {
            Encoding::Gzip => &self.gzip,
            Encoding::Zstd => &self.zstd,
        }
    }
}

/// What a view shows of the names there are.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outline {
    /// Exact names, sorted.
    pub names: Vec<PackageName>,
    /// Patterns of names that may be there, and of names that are ours whether or not they are there.
    pub patterns: Vec<NamePattern>,
    /// Whether any name may be there: the client has to ask.
    pub open: bool,
}

impl Outline {
    /// What a scope sees of the catalog.
    pub fn of(catalog: &Catalog, scope: &Scope) -> Self {
        let mut outline = Self::default();
        catalog.each(|name, entry| {
            if scope.covers(name.as_str(), &entry.published.owner) {
                outline.names.push(name.clone());
            }
        });
        let installation = catalog.installation();
        let claims = installation
            .claims()
            .iter()
            .filter(|pattern| scope.touches(pattern));
        outline.patterns.extend(claims.cloned());
        for (repository, reach) in catalog.reaches() {
            if !scope.covers_repository(&repository.name) {
                continue;
            }
            let may_have = |name: &&PackageName| {
                installation.may_ask(&repository, name.as_str()) && scope.covers_name(name.as_str())
            };
            // A private repository's include patterns are claims and so are there already.
            match reach.listing {
                Listing::Names(names) => {
                    outline.names.extend(names.iter().filter(may_have).cloned());
                }
                _ if !repository.filter.include.is_empty() => {
                    let include = repository
                        .filter
                        .include
                        .iter()
                        .filter(|pattern| scope.touches(pattern));
                    outline.patterns.extend(include.cloned());
                }
                Listing::Patterns(patterns) => {
                    outline.patterns.extend(
                        patterns
                            .into_iter()
                            .filter(|pattern| scope.touches(pattern)),
                    );
                }
                Listing::Unlisted => outline.open = true,
            }
        }
        outline.bounded_by(scope)
    }

    /// An open view of a token with package patterns is bounded by those.
    fn bounded_by(mut self, scope: &Scope) -> Self {
        if self.open && !scope.packages.is_empty() {
            self.open = false;
            self.patterns.extend(scope.packages.iter().cloned());
        }
        self.names.sort();
        self.names.dedup();
        self.patterns.sort();
        self.patterns.dedup();
        self
    }
}

/// The keys of the root file, in the order of protocol A.18.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Body<'a> {
    packages: [(); 0],
    metadata_url: String,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    available_packages: &'a [PackageName],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    available_package_patterns: Vec<&'a str>,
    search: String,
    list: String,
    notify_batch: String,
    warning: &'static str,
    warning_versions: &'static str,
}

fn render(base: &str, outline: &Outline) -> Vec<u8> {
    let (names, mut patterns): (&[PackageName], Vec<&str>) = if outline.open {
        (&[], Vec::new())
    } else {
        (
            &outline.names,
            outline.patterns.iter().map(NamePattern::as_str).collect(),
        )
    };
    if !outline.open && names.is_empty() && patterns.is_empty() {
        patterns.push(NOTHING);
    }
    let body = Body {
        packages: [],
        metadata_url: format!("{base}/p2/%package%.json"),
        available_packages: names,
        available_package_patterns: patterns,
        search: format!("{base}/search.json?q=%query%&type=%type%"),
        list: format!("{base}/list.json"),
        notify_batch: format!("{base}/notify-batch"),
        warning: "Composer 1 is not served here: install Composer 2.",
        warning_versions: "<1.99",
    };
    serde_json::to_vec(&body).unwrap_or_default()
}

/// Answers requests for the root file.
pub struct RootService {
    database: Arc<dyn Database>,
    catalog: Arc<Catalog>,
    views: RwLock<HashMap<[u8; 32], Arc<Root>>>,
    turn: tokio::sync::Mutex<()>,
}

impl RootService {
    /// A service over the shared memory.
    pub fn new(database: Arc<dyn Database>, catalog: Arc<Catalog>) -> Self {
        Self {
            database,
            catalog,
            views: RwLock::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// The root file of an asker's view.
    ///
    /// # Errors
    /// [`CannotTell`] if the database does not answer.
    pub async fn root(&self, grant: &Grant) -> Result<Arc<Root>, CannotTell> {
        if let Some(root) = self.current(&grant.view) {
            return Ok(root);
        }
        let _turn = self.turn.lock().await;
        if let Some(root) = self.current(&grant.view) {
            return Ok(root);
        }
        let generation = self.catalog.generation();
        let (catalog, scope) = (Arc::clone(&self.catalog), grant.scope.clone());
        let rendered = tokio::task::spawn_blocking(move || {
            let json = render(
                catalog.installation().urls().base(),
                &Outline::of(&catalog, &scope),
            );
            let digest: [u8; 32] = Sha256::digest(&json).into();
            (digest, compress(&json))
        });
        let stopped = |_| CannotTell {
            message: "shutting down".to_owned(),
            retry_after: std::time::Duration::from_secs(1),
        };
        let (digest, bytes) = rendered.await.map_err(stopped)?;
        let stamp = self
            .database
            .root_stamp(&grant.view, &digest, Stamp::now())
            .await?;
        let root = Arc::new(Root {
            dated: stamp.into(),
            gzip: bytes.gzip,
            zstd: bytes.zstd,
            generation,
        });
        let mut views = self.views.write().unwrap_or_else(PoisonError::into_inner);
        if views.len() >= MAX_VIEWS {
            views.clear();
        }
        views.insert(grant.view, Arc::clone(&root));
        Ok(root)
    }

    fn current(&self, view: &[u8; 32]) -> Option<Arc<Root>> {
        let generation = self.catalog.generation();
        let views = self.views.read().unwrap_or_else(PoisonError::into_inner);
        views
            .get(view)
            .filter(|root| root.generation == generation)
            .cloned()
    }
}
