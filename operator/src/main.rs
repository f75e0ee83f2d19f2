//! `package-broker-operator`: from the three kinds to running registries.

mod access_token;
mod app;
mod args;
mod check;
mod children;
mod context;
mod database;
mod error;
mod foreign;
mod member;
mod metrics;
mod package_broker;
mod probes;
mod refusal;
mod repository;
mod runtime;
mod surroundings;
mod syncs;
mod triggers;

use args::{Asked, Check};
use tracing_subscriber::EnvFilter;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> anyhow::Result<()> {
    runtime::failpoint::list();
    let asked = Asked::from(std::env::args_os()).unwrap_or_else(|error| error.exit());
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let args = match asked {
        Asked::Check(Check { namespace }) => return runtime.block_on(check::check(&namespace)),
        Asked::Run(args) => args,
    };
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(EnvFilter::try_new(&args.log)?)
        .init();
    runtime.block_on(app::run(*args))
}
