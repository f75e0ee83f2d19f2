//! `/status` on the second port: what is in force here, and how it goes with it. For whoever runs the registry, an
//! operator for instance; it names repositories and tokens, but holds no secret.

use std::{collections::HashMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode};
use package_broker_core::{
    domain::names::RepositoryName,
    ports::database::DatabaseError,
    services::status::{RepositoryStatus, status},
    sync::Attempt,
};
use serde::Serialize;

use super::App;
use crate::checks::Servers;

/// What manifests say of themselves, as they are in force.
#[derive(Debug, Default)]
pub(crate) struct InForce {
    pub(crate) repositories: HashMap<RepositoryName, Declared>,
    pub(crate) tokens: Vec<DeclaredToken>,
}

/// Which state of a `Repository` it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Declared {
    /// `metadata.generation`.
    pub(crate) generation: Option<i64>,
    /// A sync that was asked for.
    pub(crate) request: Option<SyncRequest>,
}

/// A sync that somebody asked for, besides those at the interval.
#[derive(Clone, Debug)]
pub(crate) struct SyncRequest {
    /// The value of the annotation: each value asks once.
    pub(crate) value: String,
    /// When it was seen.
    pub(crate) seen: jiff::Timestamp,
}

/// Which state of an `AccessToken` it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeclaredToken {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) generation: Option<i64>,
    /// Tells the token from others.
    pub(crate) fingerprint: String,
}

/// The whole answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    version: &'static str,
    /// Names that are served.
    packages: usize,
    /// What is wrong with the manifests as they are now, if they are not in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifests: Option<String>,
    /// How it stands with the servers beside the database, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    servers: Option<Arc<Servers>>,
    repositories: Vec<Repository>,
    access_tokens: Vec<DeclaredToken>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Repository {
    #[serde(flatten)]
    stored: RepositoryStatus,
    /// `metadata.generation` of what is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<i64>,
    /// The last sync that was asked for, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    handled_sync_request: Option<String>,
    /// The last sync under the settings in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_sync: Option<Attempt>,
}

/// The state now, on the second port.
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Json<Answer>, StatusCode> {
    let told = state(&app).await.map_err(|error| {
        tracing::warn!(%error, "the state cannot be told");
        StatusCode::SERVICE_UNAVAILABLE
    })?;
    Ok(Json(told))
}

/// The state now.
pub(super) async fn state(app: &App) -> Result<Answer, DatabaseError> {
    let broker = &app.broker;
    let stored = status(&*broker.database).await?;
    let (in_force, mut attempts) = (app.declared.load(), broker.syncs.attempts());
    let repositories = stored.repositories.into_iter().map(|stored| {
        let name = RepositoryName::new(&stored.name);
        let declared = in_force.repositories.get(&name);
        let last_sync = attempts.remove(&name);
        let request = declared.and_then(|declared| declared.request.as_ref());
        let is_handled = |request: &&SyncRequest| {
            let last = last_sync.as_ref();
            last.is_some_and(|last| last.started >= request.seen)
        };
        Repository {
            generation: declared.and_then(|declared| declared.generation),
            handled_sync_request: request
                .filter(is_handled)
                .map(|request| request.value.clone()),
            last_sync,
            stored,
        }
    });
    Ok(Answer {
        version: env!("CARGO_PKG_VERSION"),
        packages: stored.packages,
        manifests: stored.manifests,
        servers: app.servers.load_full(),
        repositories: repositories.collect(),
        access_tokens: in_force.tokens.clone(),
    })
}
