//! A running installation, and how changed manifests come into force.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::bail;
use jiff::Timestamp;
use kube::ResourceExt;
use package_broker_core::{
    domain::{
        audit::{Action, Actor, Event},
        names::RepositoryName,
        permissions::Permissions,
    },
    ports::database::TokenRecord,
    services::status,
    sync::schedule::Scheduler,
};
use package_broker_crds::SYNC_REQUESTED_AT;
use package_broker_kinds::administrator;
use tokio_util::sync::CancellationToken;

use crate::{
    drivers::{ReplaceableSources, embedded},
    engine::Engine,
    installation::{self, SourceSettings},
    listen::Addresses,
    manifests::{self, Desired, ManifestErrors, Manifests, Watcher, without_effect},
    renewal::Renewal,
    retained::with_retained,
    routes::{Declared, DeclaredToken, InForce, SyncRequest},
    tokens::{self, Tokens},
};

/// The first wait before manifests are tried again that could not be put in force; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest such wait.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// An installation that follows its manifests.
pub(crate) struct Running {
    pub(crate) engine: Engine,
    pub(crate) scheduler: Arc<Scheduler>,
    addresses: Addresses,
    renewal: Renewal,
}

impl Running {
    /// Opens the drivers over the data folder. What has a meaning in a cluster only is said to have none. No manifest is in force yet.
    pub(crate) async fn open(
        data: &Path,
        desired: &Desired,
        addresses: Addresses,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let spec = &desired.broker.spec;
        without_effect::tell(desired);
        let factory = installation::sources(&SourceSettings::of(spec)?, data);
        let sources = Arc::new(ReplaceableSources::new(factory));
        let ports = embedded::open(data, Arc::clone(&sources)).await?;
        let engine = Engine::new(ports, sources, spec, data, None).await?;
        let syncs = Arc::clone(&engine.app.broker.syncs);
        let scheduler = Arc::new(Scheduler::new(syncs, stop.child_token()));
        let _ = engine.app.scheduler.set(Arc::clone(&scheduler));
        Ok(Self {
            engine,
            scheduler,
            addresses,
            renewal: Renewal::default(),
        })
    }

    /// Where this process listens.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Puts manifests in force. Tokens that are withdrawn stop first of all; new ones come last, so that none sees what
    /// is not there yet. Interrupted or failed, it is taken up by the next call.
    pub(crate) async fn apply(&self, desired: &Desired) -> anyhow::Result<()> {
        let broker = &self.engine.app.broker;
        let spec = &desired.broker.spec;
        self.check_public_url(desired)?;
        self.engine.check(&desired.broker)?;
        let repositories = installation::repositories(desired);
        let repositories = with_retained(&*broker.database, repositories).await?;
        let installation =
            package_broker_kinds::installation(spec, repositories, &self.addresses.url());
        let data = self.engine.data();
        let Tokens {
            records: tokens,
            next,
        } = tokens::declared(desired, data, installation.urls().base())?;
        let in_force = self.in_force(desired, &tokens);
        broker.tokens.restrict(&tokens).await?;
        let configured = self.engine.configure(spec)?;
        let installation = broker.repositories.install(installation).await?;
        broker.tokens.replace(tokens).await?;
        let administrator = desired.administrator.as_ref();
        let users = administrator.and_then(administrator::read).into_iter();
        broker.users.declare(users.collect()).await?;
        tokens::remove_others(desired, data)?;
        self.renewal.set(next);
        self.scheduler.install(&installation, configured.anew);
        self.take_requests(in_force);
        broker
            .audit
            .note(&Event::new(Actor::Manifests, Action::ManifestsApplied));
        self.engine.installed(configured);
        self.engine.app.health.installed();
        self.note(None).await;
        Ok(())
    }

    /// Looks at the tokens again that manifests in force declare, as it is time for one of them.
    async fn renew(&self, desired: &Desired) -> anyhow::Result<()> {
        let broker = &self.engine.app.broker;
        let installation = broker.catalog.installation();
        let base = installation.urls().base();
        let Tokens { records, next } = tokens::declared(desired, self.engine.data(), base)?;
        let in_force = self.in_force(desired, &records);
        broker.tokens.restrict(&records).await?;
        broker.tokens.replace(records).await?;
        self.take_requests(in_force);
        self.renewal.set(next);
        Ok(())
    }

    /// Waits for a change of the files. Meanwhile, tokens of the manifests in force are renewed as it is time for them.
    async fn changed(&self, watcher: &mut Watcher, desired: &Desired) {
        loop {
            tokio::select! {
                () = watcher.changed() => return,
                () = self.renewal.due() => {}
            }
            if let Err(error) = self.renew(desired).await {
                let error = format!("{error:#}");
                tracing::error!(error, retry_in = ?LONGEST_RETRY, "tokens could not be renewed");
                self.renewal.set(Some(Timestamp::now() + LONGEST_RETRY));
            }
        }
    }

    /// What the manifests say of themselves. A request that was seen before goes on to be the same one.
    fn in_force(&self, desired: &Desired, tokens: &[(TokenRecord, Permissions)]) -> InForce {
        let before = self.engine.app.declared.load();
        let repositories = desired.repositories.iter().map(|(resource, _)| {
            let name = RepositoryName::new(resource.metadata.name.as_deref().unwrap_or_default());
            let known = before.repositories.get(&name);
            let known = known.and_then(|known| known.request.clone());
            let value = resource.annotations().get(SYNC_REQUESTED_AT).cloned();
            let request = value.map(|value| match known {
                Some(known) if known.value == value => known,
                _ => SyncRequest {
                    value,
                    seen: jiff::Timestamp::now(),
                },
            });
            let generation = resource.metadata.generation;
            (
                name,
                Declared {
                    generation,
                    request,
                },
            )
        });
        let declared = desired
            .tokens
            .iter()
            .map(|(resource, _)| &resource.metadata);
        let generations: HashMap<&str, Option<i64>> = declared
            .map(|metadata| {
                (
                    metadata.name.as_deref().unwrap_or_default(),
                    metadata.generation,
                )
            })
            .collect();
        let tokens = tokens.iter().map(|(record, _)| DeclaredToken {
            name: record.name.clone(),
            generation: generations.get(record.name.as_str()).copied().flatten(),
            fingerprint: record.hash.fingerprint(),
        });
        InForce {
            repositories: repositories.collect(),
            tokens: tokens.collect(),
        }
    }

    /// Syncs what the manifests ask for anew. What is there for the first time is synced anyway.
    fn take_requests(&self, in_force: InForce) {
        let before = self.engine.app.declared.load();
        for (name, declared) in &in_force.repositories {
            let (Some(known), Some(request)) = (before.repositories.get(name), &declared.request)
            else {
                continue;
            };
            if known.request.as_ref().map(|known| &known.value) != Some(&request.value) {
                self.scheduler.sync_now(name);
            }
        }
        self.engine.app.declared.store(Arc::new(in_force));
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

    /// Takes up changes of the files. A mistake in them is told and changes nothing; what could not be put in force is
    /// tried again.
    pub(crate) async fn follow(
        &self,
        files: &[PathBuf],
        mut watcher: Watcher,
        good: Manifests,
        mut in_force: Desired,
    ) {
        let mut good = Arc::new(good);
        let mut retry: Option<Duration> = None;
        loop {
            match retry {
                None => self.changed(&mut watcher, &in_force).await,
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
                    (good, in_force) = (Arc::new(manifests), desired);
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
        self.engine
            .app
            .manifests_in_force
            .store(problem.is_none(), Ordering::Release);
        if let Err(error) = status::note_manifests(&*self.engine.app.broker.database, problem).await
        {
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
