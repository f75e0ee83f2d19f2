//! `package-broker`: a private Composer registry in one process.

mod checks;
mod cli;
mod drivers;
mod engine;
mod installation;
mod listen;
mod logging;
mod manifests;
mod renewal;
mod replica;
mod retained;
mod routes;
mod running;
mod settings;
mod times;
mod tokens;
mod traces;
mod wire;
mod yaml;

use std::process::ExitCode;

/// Many small allocations a request, from few threads, is what it is good at; memory goes back to the system when idle.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Fails only if a provider is there already, which then serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    cli::main()
}
