//! Where the state of an installation is kept: one way each to meet
//! [`Database`](package_broker_core::ports::database::Database).

pub mod sqlite;
