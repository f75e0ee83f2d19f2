//! What a `PackageBroker` acts on in a process, wherever it came from.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::bail;
use package_broker_core::{
    broker::{Broker, Ports},
    domain::installation::{Installation, Limits},
    services::audit::AuditPolicy,
};
use package_broker_crds::{PackageBroker, PackageBrokerSpec};
use package_broker_kinds::declared::audit_policy;

use crate::{
    drivers::ReplaceableSources,
    installation::{self, SourceSettings},
    routes::App,
};

/// The services of a process, and what they are configured with.
pub(crate) struct Engine {
    pub(crate) app: Arc<App>,
    sources: Arc<ReplaceableSources>,
    /// What sources are opened under; nothing from the moment that changes until all syncs know.
    opened_under: Mutex<Option<SourceSettings>>,
    data: PathBuf,
}

/// Settings that are in force for everything but the repositories.
pub(crate) struct Configured {
    settings: SourceSettings,
    audit: AuditPolicy,
    /// Whether every source has to be opened anew.
    pub(crate) anew: bool,
}

impl Engine {
    /// The services over `ports`. No installation is in force yet. `stale_after` as for [`App::new`].
    pub(crate) async fn new(
        ports: Ports,
        sources: Arc<ReplaceableSources>,
        spec: &PackageBrokerSpec,
        data: &Path,
        stale_after: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let nothing = Installation::new("", Vec::new(), Vec::new(), Limits::default());
        let broker = Broker::open(ports, nothing, spec.limits.document_cache_size.bytes()).await?;
        let audit = Arc::clone(&broker.audit);
        tokio::spawn(async move { audit.run().await });
        Ok(Self {
            app: Arc::new(App::new(broker, stale_after)),
            sources,
            opened_under: Mutex::new(Some(SourceSettings::of(spec)?)),
            data: data.to_owned(),
        })
    }

    /// Where this process keeps what is its own.
    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Whether these drivers can do what a `PackageBroker` asks for: nothing of it is ignored.
    pub(crate) fn check(&self, broker: &PackageBroker) -> anyhow::Result<()> {
        if broker.spec.archives.redirect && !self.app.broker.dists.has_links() {
            let name = broker.metadata.name.as_deref().unwrap_or_default();
            bail!(
                "PackageBroker \"{name}\": spec.archives.redirect: archives are kept where clients cannot read them, so there is nothing to redirect to; remove the field, or keep archives in an S3 bucket, with `package-broker serve`"
            );
        }
        Ok(())
    }

    /// Puts in force what a `PackageBroker` says besides its repositories; [`Engine::installed`] ends it.
    pub(crate) fn configure(&self, spec: &PackageBrokerSpec) -> anyhow::Result<Configured> {
        let audit = audit_policy(spec);
        if audit.enabled {
            self.app.broker.audit.set_policy(audit);
        }
        self.app
            .proxies
            .store(Arc::new(installation::proxies(spec)?));
        self.app.set_redirects(spec.archives.redirect);
        let settings = SourceSettings::of(spec)?;
        let anew = self.opened_under().as_ref() != Some(&settings);
        if anew {
            *self.opened_under() = None;
            self.sources
                .replace(installation::sources(&settings, &self.data));
        }
        let cache = spec.limits.document_cache_size.bytes();
        self.app.broker.documents.resize(cache);
        Ok(Configured {
            settings,
            audit,
            anew,
        })
    }

    /// The repositories are in force too. Not called after a failure, so that the next try opens sources anew.
    pub(crate) fn installed(&self, configured: Configured) {
        *self.opened_under() = Some(configured.settings);
        // Last, so that the change itself is recorded if it ends the log.
        self.app.broker.audit.set_policy(configured.audit);
    }

    /// Stores what was recorded last. After everything else has ended.
    pub(crate) async fn close(&self) {
        let audit = &self.app.broker.audit;
        if let Err(error) = audit.close().await {
            let lost = audit.waiting();
            tracing::error!(%error, lost, "the last records of the audit log could not be written");
        }
    }

    fn opened_under(&self) -> MutexGuard<'_, Option<SourceSettings>> {
        self.opened_under
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
