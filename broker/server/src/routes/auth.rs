//! Who asks: the one place where a request becomes a grant.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use package_broker_core::services::token::{Grant, Refusal, Slowdown, token_in_header};

use super::{App, error::Problem};

/// The address a connection came from.
#[derive(Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// A request with a valid token. Every route that shows anything of packages takes this.
pub(crate) struct Authenticated(pub(crate) Arc<Grant>);

impl FromRequestParts<Arc<App>> for Authenticated {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Problem> {
        match authenticate(parts, app) {
            Ok(grant) => Ok(Self(grant)),
            Err(Refusal::Missing) => Err(Refusal::Missing.into()),
            Err(refusal) => Err(slowed_down(refusal, parts, app).await),
        }
    }
}

fn authenticate(parts: &Parts, app: &App) -> Result<Arc<Grant>, Refusal> {
    let value = parts
        .headers
        .get(header::AUTHORIZATION)
        .ok_or(Refusal::Missing)?;
    let value = value.to_str().map_err(|_| Refusal::Unknown)?;
    let mut buffer = String::new();
    let token = token_in_header(value, &mut buffer, |text| STANDARD.decode(text).ok())
        .ok_or(Refusal::Unknown)?;
    app.broker.tokens.authenticate(token)
}

async fn slowed_down(refusal: Refusal, parts: &Parts, app: &App) -> Problem {
    let address = parts
        .extensions
        .get::<Peer>()
        .map_or_else(String::new, |peer| peer.0.ip().to_string());
    match app.broker.tokens.failed(&address).await {
        Slowdown::None => refusal.into(),
        Slowdown::Wait(pause) => {
            tokio::time::sleep(pause).await;
            refusal.into()
        }
        Slowdown::Refuse(retry_after) => Problem::too_many(retry_after),
    }
}
