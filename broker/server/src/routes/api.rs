//! `/api`: the installation as a whole, for users who may look at it. Not for Composer.

use std::{net::IpAddr, sync::Arc};

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderValue, Uri, header},
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures::{Stream, TryStreamExt};
use package_broker_core::{
    domain::audit::{Action, actor_named},
    ports::{
        audit::Filter,
        database::{Database, DatabaseError},
    },
    services::{
        audit::pages,
        user::{Denied, User},
    },
};
use secrecy::SecretString;

use super::{
    App,
    audit::Access,
    auth,
    error::{JSON, Problem, beginning},
    request::query_of,
    status,
};
use crate::times::time;

/// Records that are in memory at once.
const PAGE: u32 = 500;
const JSON_LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// `/api/status`
    Status,
    /// `/api/audit`
    Audit,
}

/// The answer, if a user asks who may look.
///
/// # Errors
/// 401 without the password of a user, after a pause for an address that keeps guessing; 400 for a filter that makes no
/// sense; 503 if the database does not answer.
pub(super) async fn answer(
    app: &App,
    client: IpAddr,
    api: Api,
    (headers, uri): (&HeaderMap, &Uri),
    access: &mut Access,
) -> Result<Response, Problem> {
    let user = authenticate(app, client, headers).await?;
    // There is one role, and this is what it is for.
    let User { name, role: _ } = user;
    access.user = Some(name);
    match api {
        Api::Status => {
            let state = status::state(app).await.map_err(not_told)?;
            let text = serde_json::to_vec(&state).unwrap_or_default();
            Ok(fresh(Body::from(text), JSON))
        }
        Api::Audit => {
            let filter = filter(uri)?;
            let lines = lines(Arc::clone(&app.broker.database), filter);
            Ok(fresh(Body::from_stream(lines), JSON_LINES))
        }
    }
}

async fn authenticate(app: &App, client: IpAddr, headers: &HeaderMap) -> Result<User, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return Err(Problem::unauthorized(
            "this needs the name and the password of a user",
        ));
    };
    let found = match basic(value) {
        Some((name, password)) => app.broker.users.authenticate(&name, password).await,
        None => Err(Denied::Unknown),
    };
    match found {
        Ok(user) => Ok(user),
        Err(denied @ Denied::Unknown) => {
            let refusal = Problem::unauthorized(&denied.to_string());
            Err(auth::slowed_down(refusal, client, app).await)
        }
        Err(Denied::Database(error)) => Err(not_told(error)),
    }
}

/// Name and password of Basic credentials (RFC 7617).
fn basic(value: &HeaderValue) -> Option<(String, SecretString)> {
    let (scheme, text) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || text.len() > auth::LONGEST_CREDENTIALS {
        return None;
    }
    let pair = String::from_utf8(STANDARD.decode(text.trim()).ok()?).ok()?;
    let (name, password) = pair.split_once(':')?;
    Some((name.to_owned(), SecretString::from(password)))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn not_told(error: DatabaseError) -> Problem {
    tracing::warn!(%error, "what a user asked for cannot be told");
    Problem::cannot_serve("the database does not answer")
}

fn fresh(body: Body, content_type: HeaderValue) -> Response {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The records that a query asks for, in the words of `package-broker audit`.
fn filter(uri: &Uri) -> Result<Filter, Problem> {
    let pairs: Vec<(String, String)> = query_of(uri)?;
    let mut filter = Filter::default();
    for (key, value) in pairs {
        let wrong = |problem: &str| {
            let (key, value) = (beginning(&key), beginning(&value));
            Problem::bad_request(format!("{key}={value}: {problem}"))
        };
        match key.as_str() {
            "since" => filter.since = Some(time(&value).map_err(|error| wrong(&error))?),
            "until" => filter.until = Some(time(&value).map_err(|error| wrong(&error))?),
            "actor" => filter.actor = Some(actor_named(&value).into_owned()),
            "package" => filter.subject = Some(value),
            "action" => {
                let action: Result<Action, _> = value.parse();
                filter.action = Some(action.map_err(|error| wrong(&error.to_string()))?);
            }
            _ => return Err(wrong("write since, until, actor, package or action")),
        }
    }
    Ok(filter)
}

/// Records as lines, read in pages as the client takes them.
fn lines(
    log: Arc<dyn Database>,
    filter: Filter,
) -> impl Stream<Item = Result<Bytes, DatabaseError>> + Send {
    pages(log, filter, PAGE).map_ok(|page| {
        let mut text = Vec::new();
        for record in &page {
            if serde_json::to_writer(&mut text, record).is_ok() {
                text.push(b'\n');
            }
        }
        Bytes::from(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_filters() {
        let filter = |query: &str| filter(&format!("/api/audit?{query}").parse().unwrap());
        let found =
            filter("since=2026-01-31&actor=ci&package=acme%2Flib&action=archive.read").unwrap();
        assert_eq!(found.since, Some("2026-01-31T00:00:00Z".parse().unwrap()));
        assert_eq!(found.actor.as_deref(), Some("token/ci"));
        assert_eq!(found.subject.as_deref(), Some("acme/lib"));
        assert_eq!(found.action, Some(Action::ArchiveRead));
        assert_eq!(filter("").unwrap(), Filter::default());
        for wrong in ["since=yesterday", "action=archive.eat", "limit=1"] {
            assert!(filter(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn credentials_are_a_name_and_a_password() {
        use secrecy::ExposeSecret;
        let of = |text: &str| HeaderValue::from_str(text).unwrap();
        let encoded = STANDARD.encode("admin:with:colons");
        let (name, password) = basic(&of(&format!("Basic {encoded}"))).unwrap();
        assert_eq!(
            (name.as_str(), password.expose_secret()),
            ("admin", "with:colons")
        );
        for wrong in [
            "Bearer abc",
            "Basic",
            "Basic !!!",
            &format!("Basic {}", STANDARD.encode("admin")),
        ] {
            assert!(basic(&of(wrong)).is_none(), "{wrong}");
        }
    }
}
