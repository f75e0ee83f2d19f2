//! What replicas share besides the database: one way each to meet
//! [`Cache`](package_broker_core::ports::cache::Cache).

pub mod memory;
pub mod redis;
