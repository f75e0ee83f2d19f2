//! `package-broker-operator`: from the three kinds to running registries.

mod access_token;
mod app;
mod args;
mod children;
mod context;
mod database;
mod error;
mod member;
mod metrics;
mod package_broker;
mod probes;
mod refusal;
mod repository;
mod runtime;
mod syncs;
mod triggers;

use clap::Parser;
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    runtime::failpoint::list();
    let args = args::Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::try_new(&args.log)?)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(app::run(args))
}
