//! What replicas share besides the database: one way each to meet
//! [`Cache`](package_broker_core::ports::cache::Cache).

pub mod memory;
pub mod postgres;
pub mod redis;

mod key;
mod remote;

use std::time::Duration;

/// The longest window, as the port has it; no counter stays longer.
const MAX_WINDOW: Duration = Duration::from_hours(1);
