//! The whole core, put together over a set of drivers.

use std::sync::Arc;

use crate::{
    domain::installation::Installation,
    ports::{
        cache::Cache,
        database::{Database, DatabaseError},
        source::Sources,
        storage::Storage,
    },
    services::{
        audit::AuditService, catalog::Catalog, dist::DistService, documents::Documents,
        follow::Follower, limit::LimitService, package::PackageService, publish::Publisher,
        repository::RepositoryService, search::SearchService, token::TokenService,
        user::UserService, view::ViewService,
    },
    sync::SyncService,
    telemetry::Telemetry,
};

/// The drivers an installation runs on.
#[derive(Clone)]
pub struct Ports {
    /// State.
    pub database: Arc<dyn Database>,
    /// Archives.
    pub storage: Arc<dyn Storage>,
    /// Shared, short-lived state.
    pub cache: Arc<dyn Cache>,
    /// Sources of packages.
    pub sources: Arc<dyn Sources>,
}

/// Every service, sharing one memory.
pub struct Broker {
    /// Who asks.
    pub tokens: Arc<TokenService>,
    /// Who may look at all of it.
    pub users: UserService,
    /// How often.
    pub limits: LimitService,
    /// The state everything is kept in.
    pub database: Arc<dyn Database>,
    /// Root files and lists.
    pub views: Arc<ViewService>,
    /// Package files.
    pub packages: Arc<PackageService>,
    /// Archives.
    pub dists: Arc<DistService>,
    /// Lists and searches.
    pub search: Arc<SearchService>,
    /// What other processes change.
    pub follower: Follower,
    /// Changes of manifests.
    pub repositories: Arc<RepositoryService>,
    /// Syncs.
    pub syncs: Arc<SyncService>,
    /// What is in memory.
    pub catalog: Arc<Catalog>,
    /// Documents in memory.
    pub documents: Arc<Documents>,
    /// Who read or changed what.
    pub audit: Arc<AuditService>,
    /// Counts.
    pub telemetry: Arc<Telemetry>,
}

impl Broker {
    /// Reads the state and puts the services together. `document_cache` is in bytes. The installation is in force only
    /// after [`RepositoryService::install`].
    pub async fn open(
        ports: Ports,
        installation: Installation,
        document_cache: u64,
    ) -> Result<Self, DatabaseError> {
        let telemetry = Arc::new(Telemetry::default());
        let catalog = Arc::new(Catalog::new(
            Arc::new(installation),
            ports.database.index().await?,
        ));
        let documents = Arc::new(Documents::new(document_cache));
        let audit = audit(&ports, &telemetry);
        let (publisher, syncs) = writers(&ports, &catalog, &audit, &telemetry);
        let Ports {
            database,
            storage,
            cache,
            ..
        } = ports;
        let packages = Arc::new(PackageService::new(
            Arc::clone(&database),
            Arc::clone(&catalog),
            Arc::clone(&documents),
            Arc::clone(&syncs),
            Arc::clone(&publisher),
            Arc::clone(&telemetry),
        ));
        let dists = Arc::new(DistService::new(
            Arc::clone(&database),
            storage,
            Arc::clone(&catalog),
            Arc::clone(&packages),
            Arc::clone(&syncs),
            Arc::clone(&publisher),
            Arc::clone(&telemetry),
        ));
        let repositories = Arc::new(RepositoryService::new(
            Arc::clone(&database),
            Arc::clone(&catalog),
            Arc::clone(&publisher),
            Arc::clone(&syncs),
            Arc::clone(&audit),
        ));
        let tokens = Arc::new(TokenService::new(
            Arc::clone(&database),
            Arc::clone(&cache),
            Arc::clone(&audit),
        ));
        Ok(Self {
            users: UserService::new(Arc::clone(&database), Arc::clone(&audit)),
            limits: LimitService::new(Arc::clone(&cache), Arc::clone(&telemetry)),
            database: Arc::clone(&database),
            follower: Follower::new(
                Arc::clone(&database),
                cache,
                Arc::clone(&catalog),
                publisher,
                Arc::clone(&tokens),
                Arc::clone(&repositories),
            ),
            tokens,
            views: Arc::new(ViewService::new(database, Arc::clone(&catalog))),
            packages,
            dists,
            search: Arc::new(SearchService::new(Arc::clone(&catalog))),
            repositories,
            syncs,
            catalog,
            documents,
            audit,
            telemetry,
        })
    }
}

fn audit(ports: &Ports, telemetry: &Arc<Telemetry>) -> Arc<AuditService> {
    let store = Arc::clone(&ports.database);
    Arc::new(AuditService::new(store, Arc::clone(telemetry)))
}

/// Those who change what is served.
fn writers(
    ports: &Ports,
    catalog: &Arc<Catalog>,
    audit: &Arc<AuditService>,
    telemetry: &Arc<Telemetry>,
) -> (Arc<Publisher>, Arc<SyncService>) {
    let publisher = Arc::new(Publisher::new(
        Arc::clone(&ports.database),
        Arc::clone(catalog),
        Arc::clone(&ports.cache),
        Arc::clone(audit),
        Arc::clone(telemetry),
    ));
    let syncs = Arc::new(SyncService::new(
        Arc::clone(&ports.sources),
        Arc::clone(&ports.database),
        Arc::clone(catalog),
        Arc::clone(&publisher),
        Arc::clone(telemetry),
    ));
    (publisher, syncs)
}
