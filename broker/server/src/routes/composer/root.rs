//! `GET /packages.json`.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap, response::Response};

use super::super::{App, auth::Authenticated, conditional, encoding::Coding, error::Problem};

/// The root file of the asker's view.
pub(in super::super) async fn root(
    State(app): State<Arc<App>>,
    Authenticated(grant): Authenticated,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let root = app.broker.roots.root(&grant).await?;
    let coding = Coding::accepted(&headers);
    let bytes = coding.unpack(root.bytes(coding.stored()).clone()).await?;
    Ok(conditional::document(
        &headers,
        grant.dated(&root.dated),
        coding,
        bytes,
    ))
}
