//! What is declared in a database that several processes share: written by whoever has the manifests, read by whoever
//! serves or syncs.

use package_broker_core::ports::declared::Redeclared;
use std::sync::Arc;

use package_broker_core::{
    broker::Broker,
    domain::{
        audit::{Action, Actor, Event},
        installation::Installation,
        permissions::Permissions,
        repository::Repository,
    },
    ports::database::{DatabaseError, TokenRecord},
    services::{
        audit::AuditPolicy,
        declared::{DeclareError, DeclaredService, Loaded},
        user::{Declared, UserError},
    },
};
use package_broker_crds::{
    API_VERSION, PackageBroker, PackageBrokerSpec,
    validation::{Admitted, admit},
};
use serde_json::json;
use thiserror::Error;

use crate::installation;

/// What should be declared: the whole of an installation.
pub struct Wanted<'a> {
    /// The installation, with the URL that clients use in `externalUrl`.
    pub broker: &'a PackageBroker,
    /// Its sources, with their credentials.
    pub repositories: Vec<Repository>,
    /// Its tokens, and what each allows.
    pub tokens: Vec<(TokenRecord, Permissions)>,
    /// Who may look at all of it; nobody if there is none.
    pub administrator: Option<Declared>,
}

/// What is declared.
pub struct Found {
    /// The installation.
    pub broker: PackageBroker,
    /// With its repositories; one that cannot be used is as it was in force.
    pub installation: Installation,
}

/// What is declared cannot be read.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// Somebody else wrote it.
    #[error("the PackageBroker that is declared is no JSON; declare it again")]
    NoJson(#[from] serde_json::Error),
    /// Somebody else wrote it.
    #[error("what is declared is no PackageBroker; declare it again")]
    NoBroker,
    /// It has fields or values that this release does not know.
    #[error(
        "the PackageBroker that is declared cannot be used, perhaps because it is of a newer release: {0}"
    )]
    Unusable(String),
    /// Where several processes serve, none can say its own address.
    #[error("the PackageBroker that is declared has no externalUrl; declare it again with one")]
    NoUrl,
}

/// An installation could not be declared.
#[derive(Debug, Error)]
pub enum Undeclared {
    /// The database did not do it.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The repositories could not be written.
    #[error(transparent)]
    Repositories(#[from] DeclareError),
    /// The administrator could not be written.
    #[error(transparent)]
    Users(#[from] UserError),
    /// What was written cannot be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What was written is not there.
    #[error("what was declared is gone again; is the database being restored?")]
    Gone,
}

/// Reads what is declared now; `None` if nothing is.
///
/// # Errors
/// See [`LoadError`].
pub async fn load(broker: &Broker, declared: &DeclaredService) -> Result<Option<Found>, LoadError> {
    // Before the rest, so that nothing is decided under an older one than this says.
    let revision = broker.database.revisions().await?.declared;
    let Some(text) = declared.installation().await? else {
        return Ok(None);
    };
    let found = read(&text)?;
    let Some(url) = found.spec.external_url.as_deref() else {
        return Err(LoadError::NoUrl);
    };
    let Loaded {
        mut repositories,
        problems,
    } = declared.load().await?;
    let unusable = &broker.telemetry.repositories_unusable;
    unusable.set(problems.len() as u64);
    let before = broker.catalog.installation();
    for problem in problems {
        tracing::error!(error = %problem, "a declared repository cannot be used");
        let kept = before.repository(&problem.name);
        repositories.extend(kept.map(|kept| Repository::clone(kept)));
    }
    let installation = installation(&found.spec, repositories, url).declared_at(revision);
    Ok(Some(Found {
        broker: found,
        installation,
    }))
}

/// Declares an installation, for all processes on the database, and settles what follows from it: what is served of
/// which repository. Tokens that are withdrawn stop first of all; new ones come last, so that none sees what is not
/// there yet. Interrupted, it is taken up by the next call.
///
/// # Errors
/// See [`Undeclared`].
pub async fn declare(
    broker: &Broker,
    declared: &DeclaredService,
    wanted: Wanted<'_>,
) -> Result<Redeclared, Undeclared> {
    let policy = audit_policy(&wanted.broker.spec);
    if policy.enabled {
        broker.audit.set_policy(policy);
    }
    broker.tokens.restrict(&wanted.tokens).await?;
    // So that what changes is known; what is declared now and cannot be used is about to be replaced.
    let mut repositories = wanted.repositories;
    if let Ok(Some(before)) = load(broker, declared).await {
        retain(before.installation.repositories(), &mut repositories);
        broker.repositories.adopt(before.installation).await?;
    }
    let text = write(wanted.broker);
    declared.declare_installation(&text).await?;
    let redeclared = declared.declare(&repositories).await?;
    // As it is there by now: another process may have declared something too.
    let now = load(broker, declared).await?.ok_or(Undeclared::Gone)?;
    broker.repositories.install(now.installation).await?;
    broker.tokens.replace(wanted.tokens).await?;
    let users = wanted.administrator.into_iter().collect();
    broker.users.declare(users).await?;
    let applied = Event::new(Actor::Manifests, Action::ManifestsApplied);
    broker.audit.note(&applied);
    // Last, so that the change itself is recorded if it ends the log.
    broker.audit.set_policy(policy);
    Ok(redeclared)
}

/// Adds those of before that are to stay when they are no longer declared: they are served, and not synced any more.
pub fn retain(before: &[Arc<Repository>], repositories: &mut Vec<Repository>) {
    let gone = before.iter().filter(|known| {
        known.retained && repositories.iter().all(|other| other.name != known.name)
    });
    let kept: Vec<Repository> = gone
        .map(|known| Repository {
            suspended: true,
            ..Repository::clone(known)
        })
        .collect();
    repositories.extend(kept);
}

/// What is recorded in the audit log, and for how long.
pub fn audit_policy(spec: &PackageBrokerSpec) -> AuditPolicy {
    AuditPolicy {
        enabled: spec.audit.enabled,
        retention: spec.audit.retention.duration(),
    }
}

/// A `PackageBroker` as it is declared: the document of its kind, without what a cluster adds.
fn write(broker: &PackageBroker) -> String {
    let document = json!({
        "apiVersion": API_VERSION,
        "kind": "PackageBroker",
        "metadata": {"name": broker.metadata.name},
        "spec": broker.spec,
    });
    document.to_string()
}

fn read(text: &str) -> Result<PackageBroker, LoadError> {
    let document = serde_json::from_str(text)?;
    match admit(&document) {
        Ok(Admitted::PackageBroker(broker)) => Ok(*broker),
        Ok(_) => Err(LoadError::NoBroker),
        Err(errors) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(LoadError::Unusable(errors.join("; ")))
        }
    }
}
