//! Accepting connections, and letting them end.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{body::Body, http::Request, response::Response};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tower::{Service, ServiceExt};

use crate::routes::Peer;

/// Connections at once. Each holds little, but not nothing.
const MAX_CONNECTIONS: usize = 10_000;
/// The longest time a client may take for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Serves connections until `stop`, then waits up to `deadline` for requests in flight.
pub(crate) async fn serve<S>(
    listener: TcpListener,
    service: S,
    stop: CancellationToken,
    deadline: Duration,
) where
    S: Service<Request<Body>, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    let graceful = GracefulShutdown::new();
    let slots = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(Some(Duration::from_secs(30)));
    while let Some((stream, peer)) = accept(&listener, &stop).await {
        let Ok(slot) = std::sync::Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        // Answers are written whole; waiting to fill packets only delays them.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let per_connection = tower::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            service.clone().oneshot(request.map(Body::new))
        });
        let connection = builder.serve_connection_with_upgrades(
            TokioIo::new(stream),
            TowerToHyperService::new(per_connection),
        );
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%peer, error, "a connection ended early");
            }
            drop(slot);
        });
    }
    drop(listener);
    if tokio::time::timeout(deadline, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!(
            seconds = deadline.as_secs(),
            "requests were cut off at the end of the shutdown deadline"
        );
    }
}

/// The next connection; `None` once told to stop.
async fn accept(
    listener: &TcpListener,
    stop: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok(accepted) => return Some(accepted),
            Err(error) => {
                // Out of file descriptors, or a client that left before it was let in.
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}
