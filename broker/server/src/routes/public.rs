//! The public port: one look at every request, then what its path names.

use std::{
    cell::Cell,
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    task::Poll,
    time::Instant,
};

use axum::{
    body::{Body, HttpBody},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, header,
        request::Parts,
    },
    response::{IntoResponse, Response},
};
use futures::future::BoxFuture;
use hyper::body::Incoming;
use package_broker_core::services::{token::Grant, view::Kind};
use tracing::Instrument;

use super::{
    App, api, audit::Access, auth, client, composer, error::Problem, limit::Nearest, route::Route,
    webhooks,
};
use crate::traces;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers one request: gives it an id, counts and times it, and logs it where it went wrong.
pub(crate) async fn answer(
    app: &Arc<App>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response {
    let started = Instant::now();
    let (parts, body) = request.into_parts();
    let id = request_id(&parts.headers);
    let route = app
        .broker
        .catalog
        .in_installation(|installation| Route::at(installation.urls().path(), parts.uri.path()));
    let client = client::address(peer, &parts.headers, &app.proxies.load());
    let mut access = Access::default();
    let label = route.map_or("other", Route::label);
    let trace = traces::of_request(&parts, label, text(&id), || {
        client::is_proxy(peer, &app.proxies.load())
    });
    let answered = {
        let mut handling =
            pin!(handle(app, client, route, &parts, body, &mut access).instrument(trace.clone()));
        // What is answered at once, from memory, has nothing to tell that would need the request's span.
        match futures::poll!(handling.as_mut()) {
            Poll::Ready(answered) => answered,
            Poll::Pending => {
                let span = tracing::info_span!("request", id = text(&id));
                handling.instrument(span).await
            }
        }
    };
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    if parts.method == Method::HEAD {
        response = without_body(response);
    }
    trace.record("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        trace.record("otel.status_code", "ERROR");
    }
    let elapsed = started.elapsed();
    app.metrics.observe(route, response.status(), elapsed);
    access.record(&app.broker.audit, client, route, response.status());
    log(
        &parts,
        client,
        &id,
        response.status(),
        elapsed.as_secs_f64(),
    );
    response.headers_mut().insert(REQUEST_ID, id);
    response
}

/// Counts the request where there are limits, and says how far from them it was, whatever the answer.
async fn handle(
    app: &Arc<App>,
    client: IpAddr,
    route: Option<Route<'_>>,
    parts: &Parts,
    body: Incoming,
    access: &mut Access,
) -> Result<Response, Problem> {
    let route = route.ok_or_else(|| Problem::no_such_route(shown(&parts.uri)))?;
    if !route.allows(&parts.method) {
        return Err(Problem::wrong_method(&parts.method, route.methods()));
    }
    if let Some(reason) = app.cannot_serve() {
        return Err(Problem::cannot_serve(reason));
    }
    let mut nearest = Nearest::default();
    let answered = serve(app, client, route, parts, body, &mut nearest, access).await;
    let mut response = answered.unwrap_or_else(IntoResponse::into_response);
    nearest.tell(response.headers_mut());
    Ok(response)
}

/// HTTP in, service call, HTTP out. Everything that shows something of packages comes after the token is checked.
async fn serve(
    app: &Arc<App>,
    client: IpAddr,
    route: Route<'_>,
    parts: &Parts,
    body: Incoming,
    nearest: &mut Nearest,
    access: &mut Access,
) -> Result<Response, Problem> {
    nearest.count_address(app, client).await?;
    if let Route::Webhook { repository } = route {
        let headers = &parts.headers;
        let receiving = webhooks::receive(app, client, headers, body, repository, access);
        return apart(receiving).await;
    }
    if let Route::Api(api) = route {
        let request = (&parts.headers, &parts.uri);
        return apart(api::answer(app, client, api, request, access)).await;
    }
    let grant = auth::authenticate(app, client, &parts.headers).await?;
    let answered = match nearest.count_token(app, &grant).await {
        Ok(()) => granted(app, &grant, route, parts, body, access).await,
        Err(problem) => Err(problem),
    };
    access.grant = Some(grant);
    answered
}

/// What the path names, as the grant allows.
async fn granted(
    app: &Arc<App>,
    grant: &Arc<Grant>,
    route: Route<'_>,
    parts: &Parts,
    body: Incoming,
    access: &mut Access,
) -> Result<Response, Problem> {
    match route {
        Route::Root => composer::view(app, grant, &parts.headers, Kind::Root).await,
        Route::Package { vendor, file } => {
            composer::package(app, grant, &parts.headers, [vendor, file], access).await
        }
        Route::Dist {
            vendor,
            package,
            version,
            file,
        } => {
            let path = [vendor, package, version, file];
            apart(composer::dist(app, grant, &parts.method, path, access)).await
        }
        Route::List => {
            apart(composer::list(
                app,
                Arc::clone(grant),
                &parts.headers,
                &parts.uri,
            ))
            .await
        }
        Route::Search => apart(composer::search(app, Arc::clone(grant), &parts.uri)).await,
        Route::NotifyBatch => apart(composer::notify_batch(app, grant, body)).await,
        // They have proofs of their own, and were answered before.
        Route::Webhook { .. } | Route::Api(_) => Err(Problem::no_such_route(shown(&parts.uri))),
    }
}

/// A future of its own for what need not be part of that of each request, which is as large as the largest route's and is
/// moved.
fn apart<'a, T>(future: impl Future<Output = T> + Send + 'a) -> BoxFuture<'a, T> {
    Box::pin(future)
}

/// What a target is called in an answer. One without a slash is a host to HTTP, and has no path.
fn shown(uri: &Uri) -> &str {
    match (uri.path(), uri.authority()) {
        ("", Some(host)) => host.as_str(),
        (path, _) => path,
    }
}

/// The answer to HEAD: all headers of the answer to GET, its length among them (RFC 9110, 9.3.2).
fn without_body(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let length = body.size_hint().exact();
    // A 304 has no length of its own: it would be taken for that of the document.
    if let Some(length) = length.filter(|_| head.status != StatusCode::NOT_MODIFIED) {
        head.headers
            .entry(header::CONTENT_LENGTH)
            .or_insert(HeaderValue::from(length));
    }
    Response::from_parts(head, Body::empty())
}

fn log(parts: &Parts, client: IpAddr, id: &HeaderValue, status: StatusCode, seconds: f64) {
    let (method, path, id, code) = (&parts.method, parts.uri.path(), text(id), status.as_u16());
    if status.is_server_error() {
        tracing::warn!(id, %client, %method, path, status = code, seconds, "request failed");
    } else if status.is_client_error() && status != StatusCode::NOT_FOUND {
        tracing::info!(id, %client, %method, path, status = code, seconds, "request refused");
    } else {
        tracing::debug!(id, %client, %method, path, status = code, seconds, "request");
    }
}

fn text(id: &HeaderValue) -> &str {
    id.to_str().unwrap_or_default()
}

/// The id a proxy gave, if it is short and plain; else one of ours, unique in this process and unlikely elsewhere.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    /// Numbers that a thread takes at once: all threads write to the same place as seldom as that.
    const BLOCK: u64 = 1 << 10;
    static NEXT: AtomicU64 = AtomicU64::new(0);
    thread_local! {
        static MINE: Cell<u64> = const { Cell::new(0) };
    }
    let given = headers.get(&REQUEST_ID).filter(|id| {
        (1..=64).contains(&id.len())
            && id
                .as_bytes()
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
    });
    given.cloned().unwrap_or_else(|| {
        let number = MINE.with(|mine| {
            let number = match mine.get() {
                at if at % BLOCK == 0 => NEXT.fetch_add(BLOCK, Ordering::Relaxed),
                at => at,
            };
            mine.set(number + 1);
            number
        });
        HeaderValue::from(u64::from(process_tag()) << 32 ^ number)
    })
}

/// Tells the ids of two processes apart.
fn process_tag() -> u32 {
    static TAG: OnceLock<u32> = OnceLock::new();
    *TAG.get_or_init(|| {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        now.subsec_nanos() ^ std::process::id().rotate_left(16)
    })
}
