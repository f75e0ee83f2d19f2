//! End-to-end tests: real Composer clients against the real `package-broker`.
//!
//! They need what `cargo xtask test` gets (PHP, several Composer versions, Debian sources) and
//! the built program; without them they fail and say so.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod api;
mod archives;
mod audit;
mod bucket;
mod client_certificates;
mod clients;
mod conditional;
mod crash;
mod debian_packages;
mod examples;
mod gitops;
mod harness;
mod lifecycle;
mod limits;
mod malformed;
mod proxy;
mod reload;
mod replicas;
mod rotation;
mod routes;
mod servers;
mod status;
mod support;
mod sync;
mod upstream;
mod webhooks;
mod world;
