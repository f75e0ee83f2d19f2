//! `package-broker run`: manifests in, a registry out, in one process.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::server::Server;
use crate::{
    listen::Addresses,
    logging::{self, LogFormat},
    manifests::{self, Desired, Manifests, Watcher},
    running::Running,
    settings::Telemetry,
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
    /// Where traces are sent: the URL of an OpenTelemetry collector's OTLP receiver for HTTP, `http://HOST:4318`.
    #[arg(long, env = "PACKAGE_BROKER_TELEMETRY_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// The share of requests and syncs that are traced, from 0 to 1.
    #[arg(
        long,
        default_value_t = Telemetry::default().sample_ratio,
        value_parser = share,
        env = "PACKAGE_BROKER_TELEMETRY_SAMPLE_RATIO"
    )]
    sample_ratio: f64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    share
        .filter(|share| (0.0..=1.0).contains(share))
        .ok_or_else(|| "write a number from 0 to 1".to_owned())
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn main(args: Args) -> anyhow::Result<()> {
    let telemetry = Telemetry {
        otlp_endpoint: args.otlp_endpoint.clone(),
        sample_ratio: args.sample_ratio,
        ..Telemetry::default()
    };
    let _traces = logging::start(args.log_format, &args.log, &telemetry)?;
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
    let deadline = Duration::from_secs(args.shutdown_seconds);
    let server = Server::bind(
        (args.listen, "--listen"),
        (args.metrics_listen, "--metrics-listen"),
        deadline,
    )
    .await?;
    let stop = CancellationToken::new();
    let running = Running::open(&args.data, &desired, server.addresses()?, &stop).await?;
    let first = running.apply(&desired);
    let then = async {
        announce(&args, &desired, running.addresses())?;
        running
            .follow(&args.file, watcher, manifests, desired.clone())
            .await;
        Ok(())
    };
    let last = running.scheduler.ended();
    let serving = server.run(&running.engine, &stop, first, then, last);
    // On the heap: it holds all that a change of manifests needs.
    Box::pin(serving).await
}

/// Tells people and scripts where the registry is, and where the tokens that were made are.
fn announce(args: &Args, desired: &Desired, addresses: &Addresses) -> anyhow::Result<()> {
    addresses.announce(&args.data)?;
    for (token, brought) in &desired.tokens {
        let name = token.metadata.name.as_deref().unwrap_or_default();
        if brought.is_none() {
            tracing::info!(token = name, file = %tokens::auth_file(&args.data, name).display(), "auth.json for composer");
        }
    }
    Ok(())
}
