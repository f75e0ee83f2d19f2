//! `GET /packages.json`, and `GET /list.json` without a question.

use axum::{http::HeaderMap, response::Response};
use package_broker_core::services::{token::Grant, view::Kind};

use super::super::{App, conditional, encoding::Coding, error::Problem};

/// A document of the asker's view.
pub(in super::super) async fn view(
    app: &App,
    grant: &Grant,
    headers: &HeaderMap,
    kind: Kind,
) -> Result<Response, Problem> {
    let document = app.broker.views.document(grant, kind).await?;
    let dated = grant.dated(&document.dated);
    if dated.is(conditional::since(headers)) {
        return Ok(conditional::not_modified(dated));
    }
    let coding = Coding::accepted(headers);
    let stored = document.bytes(coding.stored()).clone();
    app.pages.keep(&stored);
    let bytes = coding.unpack(stored).await?;
    Ok(conditional::document(dated, coding, bytes))
}
