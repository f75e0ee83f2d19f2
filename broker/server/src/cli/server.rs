//! A process that serves: from its first probe to the end of its last request.

use std::{
    future::{Future, pending},
    net::SocketAddr,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::Engine,
    listen::{Addresses, answer_with, serve, serve_on_every_core},
    routes::{self, App},
};

/// What is left of the shutdown deadline for tasks that end after the last request.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// The two ports of a process, before anything answers on them, and the signals that end it.
pub(super) struct Server {
    public: TcpListener,
    operations: TcpListener,
    signals: Signals,
    deadline: Duration,
}

impl Server {
    /// Takes the ports, each given with the name of what chooses it. Requests in flight may take `deadline` once the
    /// process is told to end.
    pub(super) async fn bind(
        public: (SocketAddr, &str),
        operations: (SocketAddr, &str),
        deadline: Duration,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            signals: Signals::new()?,
            public: bind(public).await?,
            operations: bind(operations).await?,
            deadline,
        })
    }

    /// Where it listens.
    pub(super) fn addresses(&self) -> anyhow::Result<Addresses> {
        Ok(Addresses {
            public: self.public.local_addr()?,
            operations: self.operations.local_addr()?,
        })
    }

    /// Answers probes at once and clients once `first` is done, does `then`, and goes on until that fails or a signal
    /// comes. Then `stop` is cancelled, requests in flight end, `last` ends, and what was recorded is stored.
    pub(super) async fn run(
        mut self,
        engine: &Engine,
        stop: &CancellationToken,
        first: impl Future<Output = anyhow::Result<()>>,
        then: impl Future<Output = anyhow::Result<()>>,
        last: impl Future<Output = ()>,
    ) -> anyhow::Result<()> {
        let app = &engine.app;
        let probes = routes::operations(app);
        // From the first moment to the very last.
        let probing = tokio::spawn(serve(
            self.operations,
            move |_, request| answer_with(probes.clone(), request),
            CancellationToken::new(),
            self.deadline,
        ));
        let mut serving = JoinSet::new();
        let work = async {
            first.await?;
            serving = serve_public(app, self.public, stop, self.deadline)?;
            then.await
        };
        let result = tokio::select! {
            () = self.signals.next() => Ok(()),
            ended = work => ended,
        };
        tracing::info!("shutting down");
        app.health.stopping();
        stop.cancel();
        let ending = async {
            while serving.join_next().await.is_some() {}
            last.await;
            engine.close().await;
        };
        tokio::select! {
            ended = tokio::time::timeout(self.deadline + LAST_TASKS, ending) => {
                if ended.is_err() {
                    tracing::warn!("some work was cut off at the end of the shutdown deadline");
                }
            }
            () = self.signals.next() => tracing::warn!("told twice to end: ending at once"),
        }
        probing.abort();
        result
    }
}

fn serve_public(
    app: &Arc<App>,
    listener: TcpListener,
    stop: &CancellationToken,
    deadline: Duration,
) -> anyhow::Result<JoinSet<()>> {
    let on_a_core = || {
        // A count of references for each thread: one that all requests share would be passed to and fro.
        let app = Arc::new(Arc::clone(app));
        move |peer, request| {
            let app = Arc::clone(&app);
            async move { routes::answer(&app, peer, request).await }
        }
    };
    serve_on_every_core(listener, on_a_core, &app.pages, stop, deadline)
        .context("the server cannot start")
}

async fn bind((address, option): (SocketAddr, &str)) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on; choose another with {option}"))
}

/// The signals that ask a process to end.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// From now on they do not end the process by themselves.
    pub(super) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one. Waits for ever if none can come any more.
    pub(super) async fn next(&mut self) {
        let came = tokio::select! {
            came = self.terminate.recv() => came,
            came = self.interrupt.recv() => came,
        };
        if came.is_none() {
            pending::<()>().await;
        }
    }
}
