//! Suites on a whole cluster: the operator installed by Helm, brokers in pods, and a real Composer that asks them.
//!
//! `cargo xtask e2e` brings up what they need and says where it is; without that they fail.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod at_rest;
mod backing;
mod beginning;
mod changes;
mod chart;
mod embedded;
mod events;
mod examples;
mod golden;
mod healing;
mod installs;
mod kstatus;
mod leader;
mod load;
mod manifests;
mod mistakes;
mod mistakes_on_servers;
mod observed;
mod observer;
mod outside;
mod rotation;
mod rules;
mod servers;
mod support;
mod surroundings;
mod syncs;
mod tenancy;
mod tls;
mod watched;
