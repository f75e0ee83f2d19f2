//! The ways to meet the ports of the core.
//!
//! - [`database`]: the state of an installation, in SQLite.
//! - [`storage`]: archives, in a folder.
//! - [`cache`]: counters and word of changes, in memory or in Redis.
//! - [`source`]: packages from Composer repositories, git repositories and folders of archives.
//!
//! Nothing but the composition of a program names a driver: all other code sees the ports of
//! [`package_broker_core`]. One contract test per port holds every driver of it to the same promises.

pub mod cache;
pub mod database;
pub mod source;
pub mod storage;
