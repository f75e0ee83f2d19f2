//! A process among others on one database. What is declared there is put in force here, and what changes is followed.

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use package_broker_core::{
    broker::Broker,
    domain::{installation::Installation, keyring::KeyRing, metadata::DistUrls},
    services::declared::DeclaredService,
};
use package_broker_crds::PackageBrokerSpec;
use package_broker_kinds::{administrator, declared};
use secrecy::ExposeSecret;
use tokio_util::sync::CancellationToken;

use crate::{
    checks::Checks,
    drivers::{ReplaceableSources, shared},
    engine::Engine,
    installation::{self, SourceSettings},
    manifests::Desired,
    settings::Process,
    tokens::{self, Tokens},
};

/// How long after a failure what is declared is put in force again.
const RETRY: Duration = Duration::from_secs(1);

/// A process that shares its database.
pub(crate) struct Replica {
    pub(crate) engine: Engine,
    pub(crate) declared: DeclaredService,
    /// What looks at the servers.
    pub(crate) checks: Checks,
}

/// What came of declaring manifests.
pub(crate) struct Declared {
    /// Repositories that are new, or other than before.
    pub(crate) changed: usize,
    /// Repositories that were declared before and are no longer.
    pub(crate) removed: usize,
}

impl Replica {
    /// Opens the drivers. Nothing is in force yet.
    pub(crate) async fn open(settings: &Process) -> anyhow::Result<Self> {
        let keys = keys(settings)?;
        let spec = PackageBrokerSpec::default();
        let factory = installation::sources(&SourceSettings::of(&spec)?, &settings.data);
        let sources = Arc::new(ReplaceableSources::new(factory));
        let (ports, checks) = shared::open(settings, Arc::clone(&sources)).await?;
        let cache = Arc::clone(&ports.cache);
        let stale = Duration::from_secs(settings.database.stale_seconds);
        let engine = Engine::new(ports, sources, &spec, &settings.data, Some(stale)).await?;
        let database = Arc::clone(&engine.app.broker.database);
        Ok(Self {
            declared: DeclaredService::new(database, cache, keys),
            engine,
            checks,
        })
    }

    fn broker(&self) -> &Broker {
        &self.engine.app.broker
    }

    /// Puts in force what is declared now. A repository that cannot be used stays as it was in force.
    pub(crate) async fn adopt(&self) -> anyhow::Result<Arc<Installation>> {
        let (spec, installation) = self.installation().await?;
        let configured = self.engine.configure(&spec)?;
        let installation = self.broker().repositories.adopt(installation).await?;
        self.engine.installed(configured);
        Ok(installation)
    }

    /// What is declared now.
    async fn installation(&self) -> anyhow::Result<(PackageBrokerSpec, Installation)> {
        let Some(found) = declared::load(self.broker(), &self.declared).await? else {
            bail!(
                "nothing is declared in this database yet; declare manifests with `package-broker apply`"
            );
        };
        self.engine.check(&found.broker)?;
        Ok((found.broker.spec, found.installation))
    }

    /// Puts in force what is declared, as soon as something is.
    pub(crate) async fn adopt_first(&self) {
        let mut told = String::new();
        while let Err(error) = self.up_to_date().await {
            let error = format!("{error:#}");
            if error != told {
                tracing::warn!(error, "nothing can be served yet");
                told = error;
            }
            tokio::time::sleep(RETRY).await;
        }
        self.engine.app.health.installed();
    }

    async fn up_to_date(&self) -> anyhow::Result<()> {
        self.adopt().await?;
        Ok(self.broker().follower.look().await?)
    }

    /// Takes over what other processes change, until told to stop.
    pub(crate) async fn follow(&self, stop: CancellationToken) {
        let follower = &self.broker().follower;
        let declared = follower.declared();
        tokio::join!(
            follower.run(stop.clone()),
            stop.run_until_cancelled(self.follow_declared(declared))
        );
    }

    async fn follow_declared(&self, mut declared: tokio::sync::watch::Receiver<i64>) {
        loop {
            // Looked at before waiting: something may have been declared before anybody listened here.
            let seen = *declared.borrow_and_update();
            let in_force = self.broker().catalog.installation().declared();
            if in_force.is_none_or(|in_force| in_force < seen) {
                while let Err(error) = self.adopt().await {
                    let error = format!("{error:#}");
                    tracing::error!(error, "what is declared could not be put in force");
                    tokio::time::sleep(RETRY).await;
                }
            }
            if declared.changed().await.is_err() {
                return;
            }
        }
    }

    /// Declares what manifests say, for all processes on the database. Tokens that are withdrawn stop first of all; new
    /// ones come last, so that none sees what is not there yet. Interrupted, it is taken up by the next call.
    pub(crate) async fn declare(&self, desired: &Desired) -> anyhow::Result<Declared> {
        let Some(url) = desired.broker.spec.external_url.as_deref() else {
            let name = desired.broker.metadata.name.as_deref().unwrap_or_default();
            bail!(
                "PackageBroker \"{name}\": spec.externalUrl is required where several processes serve; set it to the URL that clients use"
            );
        };
        self.engine.check(&desired.broker)?;
        let data = self.engine.data();
        let Tokens { records, next } = tokens::declared(desired, data, DistUrls::new(url).base())?;
        let wanted = declared::Wanted {
            broker: &desired.broker,
            repositories: installation::repositories(desired),
            tokens: records,
            administrator: desired.administrator.as_ref().and_then(administrator::read),
        };
        let redeclared = declared::declare(self.broker(), &self.declared, wanted).await?;
        tokens::remove_others(desired, data)?;
        if let Some(next) = next {
            // Nobody stays here who would do it.
            tracing::info!(%next, "a token is to be rotated, or one before it to be forgotten: run apply again then");
        }
        Ok(Declared {
            changed: redeclared.changed.len(),
            removed: redeclared.removed.len(),
        })
    }
}

/// The key ring that credentials of repositories are sealed with.
pub(crate) fn keys(settings: &Process) -> anyhow::Result<KeyRing> {
    let Some(keys) = &settings.encryption.keys else {
        bail!(
            "encryption.keys: is required; make a key ring with `package-broker keys generate --file FILE`, and name that file in encryption.keysFile"
        );
    };
    KeyRing::parse(keys.expose_secret()).context("encryption.keys")
}
