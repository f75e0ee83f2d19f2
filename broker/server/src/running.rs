//! A running installation, and how changed manifests come into force.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use anyhow::bail;
use package_broker_core::{
    broker::Broker,
    domain::installation::{Installation, Limits},
    services::status,
    sync::schedule::Scheduler,
};
use tokio_util::sync::CancellationToken;

use crate::{
    drivers::{ReplaceableSources, embedded},
    installation::{self, SourceSettings},
    manifests::{self, Desired, ManifestErrors, Manifests, Watcher},
    routes::App,
    tokens,
};

/// The first wait before manifests are tried again that could not be put in force; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// Where this process listens.
pub(crate) struct Addresses {
    /// For clients.
    pub(crate) public: SocketAddr,
    /// For probes and metrics.
    pub(crate) operations: SocketAddr,
}

impl Addresses {
    /// The URL of the public port itself.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.public)
    }
}

/// The parts that a change of manifests acts on.
pub(crate) struct Running {
    pub(crate) app: Arc<App>,
    pub(crate) scheduler: Scheduler,
    sources: Arc<ReplaceableSources>,
    /// What sources are opened under; nothing from the moment that changes until all syncs know.
    opened_under: Mutex<Option<SourceSettings>>,
    data: PathBuf,
    addresses: Addresses,
}

impl Running {
    /// Opens the drivers over the data folder. No manifest is in force yet.
    pub(crate) async fn open(
        data: &Path,
        desired: &Desired,
        addresses: Addresses,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let spec = &desired.broker.spec;
        let settings = SourceSettings::of(spec)?;
        let factory = installation::sources(&settings, data);
        let sources = Arc::new(ReplaceableSources::new(factory));
        let ports = embedded::open(data, Arc::clone(&sources) as _).await?;
        let nothing =
            Installation::new(&addresses.url(), Vec::new(), Vec::new(), Limits::default());
        let broker = Broker::open(ports, nothing, spec.limits.document_cache_size.bytes()).await?;
        let scheduler = Scheduler::new(Arc::clone(&broker.syncs), stop.child_token());
        Ok(Self {
            app: Arc::new(App::new(broker, None)),
            scheduler,
            sources,
            opened_under: Mutex::new(Some(settings)),
            data: data.to_owned(),
            addresses,
        })
    }

    /// Where this process listens.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Puts manifests in force. Tokens that are withdrawn stop first of all; new ones come last, so that none sees what
    /// is not there yet. Interrupted or failed, it is taken up by the next call.
    pub(crate) async fn apply(&self, desired: &Desired) -> anyhow::Result<()> {
        let broker = &self.app.broker;
        let spec = &desired.broker.spec;
        self.check_public_url(desired)?;
        let installation = installation::installation(desired, &self.addresses.url());
        let tokens = tokens::declared(desired, &self.data, installation.urls().base())?;
        broker.tokens.restrict(&tokens).await?;
        self.app
            .proxies
            .store(Arc::new(installation::proxies(spec)?));
        let settings = SourceSettings::of(spec)?;
        let anew = self.opened_under().as_ref() != Some(&settings);
        if anew {
            *self.opened_under() = None;
            self.sources
                .replace(installation::sources(&settings, &self.data));
        }
        broker
            .documents
            .resize(spec.limits.document_cache_size.bytes());
        let installation = broker.repositories.install(installation).await?;
        broker.tokens.replace(tokens).await?;
        tokens::remove_others(desired, &self.data)?;
        self.scheduler.install(&installation, anew);
        *self.opened_under() = Some(settings);
        self.note(None).await;
        Ok(())
    }

    /// A URL that no client can reach must not go into metadata and lock files.
    fn check_public_url(&self, desired: &Desired) -> anyhow::Result<()> {
        if desired.broker.spec.external_url.is_none() && self.addresses.public.ip().is_unspecified()
        {
            let name = desired.broker.metadata.name.as_deref().unwrap_or_default();
            bail!(
                "--listen {} is no address that clients can ask: set spec.externalUrl of the PackageBroker \"{name}\" to the URL they use",
                self.addresses.public
            );
        }
        Ok(())
    }

    fn opened_under(&self) -> MutexGuard<'_, Option<SourceSettings>> {
        self.opened_under
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up changes of the files. A mistake in them is told and changes nothing; what could not be put in force is
    /// tried again.
    pub(crate) async fn follow(&self, files: &[PathBuf], mut watcher: Watcher, good: Manifests) {
        let mut good = Arc::new(good);
        let mut retry: Option<Duration> = None;
        loop {
            match retry {
                None => watcher.changed().await,
                Some(pause) => {
                    let _ = tokio::time::timeout(pause, watcher.changed()).await;
                }
            }
            let (files, last_good) = (files.to_vec(), Arc::clone(&good));
            let read = tokio::task::spawn_blocking(move || reload(&files, &last_good));
            let Ok(read) = read.await else { continue };
            let (manifests, desired) = match read {
                Ok(read) => read,
                Err(errors) => {
                    tracing::error!(%errors, "the changed manifests are wrong; the last good ones stay in force");
                    self.note(Some(errors.to_string())).await;
                    retry = None;
                    continue;
                }
            };
            match self.apply(&desired).await {
                Ok(()) => {
                    good = Arc::new(manifests);
                    retry = None;
                    tracing::info!("the changed manifests are in force");
                }
                Err(error) => {
                    let error = format!("{error:#}");
                    let pause = retry.map_or(FIRST_RETRY, |pause| (pause * 2).min(LONGEST_RETRY));
                    tracing::error!(error, retry_in = ?pause, "the changed manifests could not be put in force");
                    self.note(Some(error)).await;
                    retry = Some(pause);
                }
            }
        }
    }

    /// Keeps what is wrong with the manifests, for `status` and for metrics.
    async fn note(&self, problem: Option<String>) {
        self.app
            .manifests_in_force
            .store(problem.is_none(), Ordering::Release);
        if let Err(error) = status::note_manifests(&*self.app.broker.database, problem).await {
            tracing::warn!(%error, "the state of the manifests could not be recorded");
        }
    }
}

fn reload(files: &[PathBuf], good: &Manifests) -> Result<(Manifests, Desired), ManifestErrors> {
    let manifests = manifests::load(files)?;
    manifests.check_change_from(good)?;
    let desired = manifests::resolve(&manifests)?;
    Ok((manifests, desired))
}
