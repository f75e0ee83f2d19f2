//! Who asks: the one place where a request becomes a grant.

use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::http::{HeaderMap, header};
use base64::{Engine, engine::general_purpose::STANDARD};
use package_broker_core::services::{
    limit::Slowdown,
    token::{Grant, Refusal, token_in_header},
};

use super::{App, error::Problem};

/// What follows the scheme in an `Authorization` header, in bytes at most. Tokens have 512, passwords 256.
pub(super) const LONGEST_CREDENTIALS: usize = 1_024;
/// Refused requests that are kept waiting at once. Beyond, those who guess get their answers at once: they must not
/// take every connection there is.
pub(super) const MAX_KEPT_WAITING: usize = 1_000;

/// The grant of a request's token. Every route that shows anything of packages begins here.
///
/// # Errors
/// 401 without a valid token, after a pause for an address that keeps guessing; 429 if it does not stop.
pub(super) async fn authenticate(
    app: &App,
    client: IpAddr,
    headers: &HeaderMap,
) -> Result<Arc<Grant>, Problem> {
    let asked = Instant::now();
    let mut found = grant(app, headers);
    // Whoever declared it may have sent the client here at once.
    if matches!(found, Err(Refusal::Unknown)) && app.looked_since(asked).await {
        found = grant(app, headers);
    }
    match found {
        Ok(grant) => Ok(grant),
        Err(Refusal::Missing) => Err(Refusal::Missing.into()),
        Err(refusal) => Err(slowed_down(refusal.into(), client, app).await),
    }
}

fn grant(app: &App, headers: &HeaderMap) -> Result<Arc<Grant>, Refusal> {
    let value = headers.get(header::AUTHORIZATION).ok_or(Refusal::Missing)?;
    let mut buffer = [0; LONGEST_CREDENTIALS];
    let decode = |text: &[u8], buffer: &mut [u8]| STANDARD.decode_slice(text, buffer).ok();
    let token = token_in_header(value.as_bytes(), &mut buffer, decode);
    app.broker
        .tokens
        .authenticate(token.ok_or(Refusal::Unknown)?)
}

/// The answer to somebody who guesses, after a pause; another one if that does not stop.
pub(super) async fn slowed_down(refusal: Problem, client: IpAddr, app: &App) -> Problem {
    match app.broker.limits.failed(client).await {
        Slowdown::None => refusal,
        Slowdown::Wait(pause) => {
            keep_waiting(app, pause).await;
            refusal
        }
        Slowdown::Refuse { pause, retry_after } => {
            keep_waiting(app, pause).await;
            Problem::too_many(retry_after)
        }
    }
}

async fn keep_waiting(app: &App, pause: Duration) {
    if let Ok(_place) = app.kept_waiting.try_acquire() {
        tokio::time::sleep(pause).await;
    }
}
