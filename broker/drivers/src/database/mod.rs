//! Where the state of an installation is kept: one way each to meet
//! [`Database`](package_broker_core::ports::database::Database).

pub mod postgres;
pub mod sqlite;

mod audit;
mod content;
mod declared;
mod publication;
mod tokens;

use package_broker_core::ports::database::Connections;

/// The most views whose root files' stamps are remembered. One forgotten gets a new stamp when it is asked for again:
/// its clients load the root file once more.
const MAX_VIEWS: i64 = 10_000;

/// The connections of one pool.
fn connections<D: sqlx::Database>(pool: &sqlx::Pool<D>) -> Connections {
    Connections {
        open: pool.size(),
        idle: u32::try_from(pool.num_idle()).unwrap_or(u32::MAX),
        most: pool.options().get_max_connections(),
    }
}
