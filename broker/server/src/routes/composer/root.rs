//! `GET /packages.json`.

use axum::{http::HeaderMap, response::Response};
use package_broker_core::services::token::Grant;

use super::super::{App, conditional, encoding::Coding, error::Problem};

/// The root file of the asker's view.
pub(in super::super) async fn root(
    app: &App,
    grant: &Grant,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let root = app.broker.roots.root(grant).await?;
    let coding = Coding::accepted(headers);
    let bytes = coding.unpack(root.bytes(coding.stored()).clone()).await?;
    Ok(conditional::document(
        headers,
        grant.dated(&root.dated),
        coding,
        bytes,
    ))
}
