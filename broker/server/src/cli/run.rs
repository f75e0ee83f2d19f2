//! `package-broker run`: manifests in, a registry out, in one process.

use std::{future::pending, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    listen::{answer_with, serve, serve_on_every_core},
    logging::{self, LogFormat},
    manifests::{self, Desired, Manifests, Watcher},
    routes,
    running::{Addresses, Running},
    tokens,
};

/// What is left of the shutdown deadline for tasks that end after the last request.
const LAST_TASKS: Duration = Duration::from_secs(5);

/// Options of `run`.
#[derive(Parser)]
pub(super) struct Args {
    /// A manifest, or a folder of manifests: `PackageBroker`, `Repository`, `AccessToken` and `Secret` documents.
    /// May be given several times. Changes are taken up while running.
    #[arg(short, long = "file", required = true)]
    file: Vec<PathBuf>,
    /// Where state, archives and tokens are kept. Made if it is not there.
    #[arg(long, default_value = "./data", env = "PACKAGE_BROKER_DATA")]
    data: PathBuf,
    /// The address clients connect to. Port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:8080", env = "PACKAGE_BROKER_LISTEN")]
    listen: SocketAddr,
    /// The address of /livez, /readyz and /metrics. Not for clients.
    #[arg(
        long,
        default_value = "127.0.0.1:8081",
        env = "PACKAGE_BROKER_METRICS_LISTEN"
    )]
    metrics_listen: SocketAddr,
    /// How long requests in flight may take after SIGTERM or SIGINT, in seconds.
    #[arg(long, default_value_t = 20, env = "PACKAGE_BROKER_SHUTDOWN_SECONDS")]
    shutdown_seconds: u64,
    /// What to log, for instance `debug` or `info,package_broker=debug`.
    #[arg(long, default_value = "info", env = "PACKAGE_BROKER_LOG")]
    log: String,
    /// How log lines look.
    #[arg(long, default_value = "text", env = "PACKAGE_BROKER_LOG_FORMAT")]
    log_format: LogFormat,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn main(args: Args) -> anyhow::Result<()> {
    logging::start(args.log_format, &args.log)?;
    // Before the first look at the files, so that no change falls in between.
    let watcher = Watcher::new(args.file.clone());
    let manifests = manifests::load(&args.file)?;
    let desired = manifests::resolve(&manifests)?;
    let runtime = super::runtime()?;
    let result = runtime.block_on(run(args, watcher, manifests, desired));
    // What does not end now had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn run(
    args: Args,
    watcher: Watcher,
    manifests: Manifests,
    desired: Desired,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let public = bind(args.listen, "--listen").await?;
    let operations = bind(args.metrics_listen, "--metrics-listen").await?;
    let addresses = Addresses {
        public: public.local_addr()?,
        operations: operations.local_addr()?,
    };
    let stop = CancellationToken::new();
    let running = Running::open(&args.data, &desired, addresses, &stop).await?;
    let deadline = Duration::from_secs(args.shutdown_seconds);
    let probes = routes::operations(&running.app);
    // From the first moment to the very last.
    let probing = tokio::spawn(serve(
        operations,
        move |_, request| answer_with(probes.clone(), request),
        CancellationToken::new(),
        deadline,
    ));
    let mut serving = JoinSet::new();
    let work = async {
        running.apply(&desired).await?;
        serving = serve_public(&running, public, &stop, deadline)?;
        announce(&args, &desired, running.addresses())?;
        running.follow(&args.file, watcher, manifests).await;
        Ok(())
    };
    let result = tokio::select! {
        () = signals.next() => Ok(()),
        ended = work => ended,
    };
    tracing::info!("shutting down");
    running.app.health.stopping();
    stop.cancel();
    let ending = async {
        while serving.join_next().await.is_some() {}
        running.scheduler.ended().await;
    };
    tokio::select! {
        ended = tokio::time::timeout(deadline + LAST_TASKS, ending) => {
            if ended.is_err() {
                tracing::warn!("some work was cut off at the end of the shutdown deadline");
            }
        }
        () = signals.next() => tracing::warn!("told twice to end: ending at once"),
    }
    probing.abort();
    result
}

fn serve_public(
    running: &Running,
    listener: TcpListener,
    stop: &CancellationToken,
    deadline: Duration,
) -> anyhow::Result<JoinSet<()>> {
    let app = Arc::clone(&running.app);
    let answer = move |peer, request| routes::answer(Arc::clone(&app), peer, request);
    let serving = serve_on_every_core(listener, &answer, stop, deadline)
        .context("the server cannot start")?;
    running.app.health.installed();
    Ok(serving)
}

async fn bind(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on; choose another with {option}"))
}

/// The signals that ask the process to end.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// The next one. Waits for ever if none can come any more.
    async fn next(&mut self) {
        let came = tokio::select! {
            came = self.terminate.recv() => came,
            came = self.interrupt.recv() => came,
        };
        if came.is_none() {
            pending::<()>().await;
        }
    }
}

/// Tells people and scripts where the registry is: a log line, and `run.json` in the data folder.
fn announce(args: &Args, desired: &Desired, addresses: &Addresses) -> anyhow::Result<()> {
    let url = addresses.url();
    let document = serde_json::json!({
        "url": url,
        "metrics": format!("http://{}", addresses.operations),
        "pid": std::process::id(),
    });
    let temporary = args.data.join("run.json.new");
    std::fs::write(&temporary, serde_json::to_vec_pretty(&document)?)?;
    std::fs::rename(&temporary, args.data.join("run.json"))?;
    tracing::info!(url, metrics = %addresses.operations, "serving");
    for (token, brought) in &desired.tokens {
        let name = token.metadata.name.as_deref().unwrap_or_default();
        if brought.is_none() {
            tracing::info!(token = name, file = %tokens::auth_file(&args.data, name).display(), "auth.json for composer");
        }
    }
    Ok(())
}
