//! `package-broker serve`: one replica of a registry whose state is on servers.

use std::time::Duration;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::{config::SettingsArgs, server::Server};
use crate::{logging, replica::Replica, settings::Process};

/// Options of `serve`.
#[derive(Parser)]
pub(super) struct Args {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Serves until SIGTERM or SIGINT.
pub(super) fn main(args: &Args) -> anyhow::Result<()> {
    let settings = args.settings.load()?.process;
    let _traces = logging::start(settings.log_format, &settings.log, &settings.telemetry)?;
    let runtime = super::runtime()?;
    let result = runtime.block_on(serve(&settings));
    // What does not end now had its time.
    runtime.shutdown_timeout(Duration::from_secs(1));
    result
}

async fn serve(settings: &Process) -> anyhow::Result<()> {
    let deadline = Duration::from_secs(settings.shutdown_seconds);
    let server = Server::bind(
        (settings.listen, "the setting listen"),
        (settings.metrics_listen, "the setting metricsListen"),
        deadline,
    )
    .await?;
    let addresses = server.addresses()?;
    let replica = Replica::open(settings).await?;
    let stop = CancellationToken::new();
    // Clients are answered from the first moment: that it is too early, if it is.
    let first = async { addresses.announce(&settings.data) };
    let then = async {
        let following = async {
            replica.adopt_first().await;
            replica.follow(stop.clone()).await;
        };
        tokio::join!(following, replica.checks.run(&replica.engine.app, &stop));
        Ok(())
    };
    let serving = server.run(&replica.engine, &stop, first, then, std::future::ready(()));
    // On the heap: it holds all that a change of what is declared needs.
    Box::pin(serving).await
}
