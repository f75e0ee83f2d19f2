//! Accepting connections, and letting them end.

use std::{
    convert::Infallible, io, net::SocketAddr, path::Path, sync::Arc, thread, time::Duration,
};

use axum::{Router, body::Body, http::Request, response::Response};
use futures::FutureExt;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::wire::{Pages, Wire};

/// Connections at once. Each holds little, but not nothing.
const MAX_CONNECTIONS: usize = 10_000;
/// The longest time a client may take for the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where this process listens.
pub(crate) struct Addresses {
    /// For clients.
    pub(crate) public: SocketAddr,
    /// For probes and metrics.
    pub(crate) operations: SocketAddr,
}

impl Addresses {
    /// Tells people and scripts: a log line, and `run.json` in the data folder.
    pub(crate) fn announce(&self, data: &Path) -> anyhow::Result<()> {
        let url = self.url();
        let document = serde_json::json!({
            "url": url,
            "metrics": format!("http://{}", self.operations),
            "pid": std::process::id(),
        });
        let temporary = data.join("run.json.new");
        std::fs::write(&temporary, serde_json::to_vec_pretty(&document)?)?;
        std::fs::rename(&temporary, data.join("run.json"))?;
        tracing::info!(url, metrics = %self.operations, "serving");
        Ok(())
    }

    /// The URL of the public port itself.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.public)
    }
}

/// Serves connections on one thread for each core until `stop`, then waits up to `deadline` for requests in flight.
///
/// Each thread has an event loop of its own and accepts for itself: a request that is answered from memory never moves
/// between threads. `service` makes what answers on one of them. The set holds one task for each thread.
///
/// # Errors
/// When the listener cannot be shared or an event loop cannot be started.
pub(crate) fn serve_on_every_core<S, F>(
    listener: TcpListener,
    service: impl Fn() -> S,
    pages: &Arc<Pages>,
    stop: &CancellationToken,
    deadline: Duration,
) -> io::Result<JoinSet<()>>
where
    S: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let listener = listener.into_std()?;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut threads = JoinSet::new();
    for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (listener, slots) = (listener.try_clone()?, Arc::clone(&slots));
        let (service, pages, stop) = (service(), Arc::clone(pages), stop.clone());
        threads.spawn_blocking(move || {
            runtime.block_on(async move {
                match TcpListener::from_std(listener) {
                    Ok(listener) => {
                        accept_all(listener, service, pages, slots, stop, deadline).await;
                    }
                    Err(error) => tracing::error!(%error, "a thread cannot accept connections"),
                }
            });
        });
    }
    Ok(threads)
}

/// Serves connections on the event loop of the caller until `stop`, then waits up to `deadline` for requests in flight.
pub(crate) async fn serve<S, F>(
    listener: TcpListener,
    service: S,
    stop: CancellationToken,
    deadline: Duration,
) where
    S: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    accept_all(listener, service, Arc::default(), slots, stop, deadline).await;
}

async fn accept_all<S, F>(
    listener: TcpListener,
    service: S,
    pages: Arc<Pages>,
    slots: Arc<Semaphore>,
    stop: CancellationToken,
    deadline: Duration,
) where
    S: Fn(SocketAddr, Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
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
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else {
            break;
        };
        // Answers are written whole; waiting to fill packets only delays them.
        let _ = stream.set_nodelay(true);
        let service = service.clone();
        let per_connection = service_fn(move |request| {
            // An async block would hold the future twice, and it is moved for each request.
            service(peer, request).map(Ok::<_, Infallible>)
        });
        let connection =
            builder.serve_connection(Wire::new(stream, Arc::clone(&pages)), per_connection);
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

/// The answer of a router.
pub(crate) async fn answer_with(router: Router, request: Request<Incoming>) -> Response {
    let Ok(response) = router.oneshot(request.map(Body::new)).await;
    response
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
