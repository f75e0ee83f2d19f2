//! What the broker knows, without knowing where it runs.
//!
//! - [`domain`]: names, versions, metadata, tokens and limits; pure, no I/O, no async.
//! - [`ports`]: what the core needs from the world, as traits in the domain's words.
//! - [`services`]: the use cases, written against the ports.
//! - [`broker`]: all of it, put together over a set of drivers.
//! - [`sync`]: from a source's documents and refs to versions in the database.
//!
//! No HTTP framework, SQL, object store or Kubernetes client is a dependency of this crate.

pub mod broker;
pub mod domain;
pub mod ports;
pub mod services;
pub mod sync;
pub mod telemetry;
