//! `package-broker run`: manifests in, a registry out, in one process.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context;
use clap::Parser;
use package_broker_core::{
    broker::Broker,
    domain::installation::{Installation, Limits},
    sync::schedule::Scheduler,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    embedded::{self, ReplaceableSources},
    installation,
    listen::{answer_with, serve, serve_on_every_core},
    logging::{self, LogFormat},
    manifests::{self, Desired, Manifests, Watcher},
    routes::{self, App, Health, metrics::Metrics},
    tokens,
};

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
    super::runtime()?.block_on(run(args, watcher, manifests, desired))
}

async fn run(
    args: Args,
    watcher: Watcher,
    manifests: Manifests,
    desired: Desired,
) -> anyhow::Result<()> {
    let signals = signals()?;
    let public = bind(args.listen, "--listen").await?;
    let operations = bind(args.metrics_listen, "--metrics-listen").await?;
    let addresses = Addresses {
        public: public.local_addr()?,
        operations: operations.local_addr()?,
    };
    let stop = CancellationToken::new();
    let running = Running::start(&args, &desired, &addresses, &stop).await?;
    let deadline = Duration::from_secs(args.shutdown_seconds);
    let app = Arc::clone(&running.app);
    let answer = {
        let app = Arc::clone(&app);
        move |peer, request| routes::answer(Arc::clone(&app), peer, request)
    };
    let serving =
        serve_on_every_core(public, &answer, &stop, deadline).context("the server cannot start")?;
    let probes = routes::operations(&app);
    let probing = tokio::spawn(serve(
        operations,
        move |_, request| answer_with(probes.clone(), request),
        CancellationToken::new(),
        deadline,
    ));
    app.health.installed();
    announce(&args, &desired, &addresses)?;
    let reloading = running.follow(&args.file, watcher, manifests, &addresses);
    tokio::select! {
        () = signals => tracing::info!("shutting down"),
        () = reloading => {}
    }
    app.health.stopping();
    stop.cancel();
    serving.join_all().await;
    running.scheduler.ended().await;
    // Probes are answered to the very end.
    probing.abort();
    Ok(())
}

struct Addresses {
    public: SocketAddr,
    operations: SocketAddr,
}

impl Addresses {
    fn url(&self) -> String {
        format!("http://{}", self.public)
    }
}

async fn bind(address: SocketAddr, option: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on; choose another with {option}"))
}

/// Ends when the process is asked to.
fn signals() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
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

/// The parts that a change of manifests acts on.
struct Running {
    app: Arc<App>,
    scheduler: Scheduler,
    sources: Arc<ReplaceableSources>,
    data: PathBuf,
}

impl Running {
    async fn start(
        args: &Args,
        desired: &Desired,
        addresses: &Addresses,
        stop: &CancellationToken,
    ) -> anyhow::Result<Self> {
        let spec = &desired.broker.spec;
        let factory = installation::sources(spec, &embedded::git_folder(&args.data))?;
        let sources = Arc::new(ReplaceableSources::new(factory));
        let ports = embedded::open(&args.data, Arc::clone(&sources) as _).await?;
        let nothing =
            Installation::new(&addresses.url(), Vec::new(), Vec::new(), Limits::default());
        let broker = Broker::open(ports, nothing, spec.limits.document_cache_size.bytes()).await?;
        let scheduler = Scheduler::new(Arc::clone(&broker.syncs), stop.child_token());
        let app = Arc::new(App {
            broker,
            metrics: Metrics::new(),
            health: Health::default(),
        });
        let running = Self {
            app,
            scheduler,
            sources,
            data: args.data.clone(),
        };
        running.apply(desired, addresses).await?;
        Ok(running)
    }

    /// Puts manifests in force. Tokens come last: no new token sees what is not there yet, and one that is withdrawn
    /// stops within this call.
    async fn apply(&self, desired: &Desired, addresses: &Addresses) -> anyhow::Result<()> {
        let broker = &self.app.broker;
        let spec = &desired.broker.spec;
        let installation = installation::installation(desired, &addresses.url());
        let tokens = tokens::declared(desired, &self.data, installation.urls().base())?;
        self.sources.replace(installation::sources(
            spec,
            &embedded::git_folder(&self.data),
        )?);
        broker
            .documents
            .resize(spec.limits.document_cache_size.bytes());
        let installation = broker.repositories.install(installation).await?;
        broker.tokens.replace(tokens).await?;
        self.scheduler.install(&installation);
        Ok(())
    }

    /// Takes up changes of the files. A mistake in them is told and changes nothing.
    async fn follow(
        &self,
        files: &[PathBuf],
        mut watcher: Watcher,
        mut good: Manifests,
        addresses: &Addresses,
    ) {
        loop {
            watcher.changed().await;
            match reload(files, &good) {
                Ok((manifests, desired)) => match self.apply(&desired, addresses).await {
                    Ok(()) => {
                        good = manifests;
                        tracing::info!("the changed manifests are in force");
                    }
                    Err(error) => tracing::error!(
                        error = format!("{error:#}"),
                        "the changed manifests could not be put in force"
                    ),
                },
                Err(errors) => {
                    tracing::error!(%errors, "the changed manifests are wrong; the last good ones stay in force");
                }
            }
        }
    }
}

fn reload(
    files: &[PathBuf],
    good: &Manifests,
) -> Result<(Manifests, Desired), manifests::ManifestErrors> {
    let manifests = manifests::load(files)?;
    manifests.check_change_from(good)?;
    let desired = manifests::resolve(&manifests)?;
    Ok((manifests, desired))
}
