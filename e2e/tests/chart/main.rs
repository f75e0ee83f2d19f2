//! The charts by themselves: what they render, what they refuse, and that Kubernetes knows every field of it.
//!
//! They need `helm`, which is built once into the cache, and no cluster. That a cluster takes what is rendered here is
//! tested in the suite `cluster`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod combinations;
mod definitions;
mod effects;
mod golden;
mod metadata;
mod metrics;
mod network;
mod notes;
mod pods;
mod refusals;
mod rights;
mod schemas;
mod support;
mod values;
